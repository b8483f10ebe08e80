"""Sends events with one client and prints what it took: the process that `activation_throughput` measures."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

KEY = "sk_us_0123456789abcdef"
DIFFERENT = 5_000


def events() -> Iterator[dict[str, Any]]:
    """Orders, over and over: to make them must not cost more than to send them."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    made = [
        {
            "type": "track",
            "userId": f"C{number:08}",
            "event": "Order Completed",
            "messageId": f"5f0c9a52-3c1e-5b8e-9d4e-{number:012}",
            "timestamp": begun + timedelta(seconds=number),
            "properties": {
                "order_id": f"O{number:010}",
                "total": round(19.9 + number / 7, 2),
                "currency": "EUR",
                "affiliation": "web",
                "products": [
                    {
                        "product_id": f"P{number % 97:05}",
                        "quantity": 1 + number % 3,
                        "price": 19.9,
                        "name": "Mug",
                    }
                ],
            },
        }
        for number in range(DIFFERENT)
    ]
    while True:
        yield from made


def ours(port: int, count: int, settings: dict[str, Any]) -> None:
    from ecommerce_lakehouse.activation.customerio.client import Client
    from ecommerce_lakehouse.activation.customerio.outcomes import Accepted
    from ecommerce_lakehouse.activation.customerio.settings import Settings

    made = Settings.of(KEY, base_url=f"http://127.0.0.1:{port}/v1", concurrency=settings["concurrency"])
    with Client(made) as client:
        for delivery in client.send(islice(events(), count), validate=settings["validate"]):
            assert isinstance(delivery.outcome, Accepted), delivery.outcome


def vendor(port: int, count: int, settings: dict[str, Any]) -> None:
    from customerio.analytics.client import Client  # type: ignore[import-not-found]

    client = Client(KEY, host=f"http://127.0.0.1:{port}", max_queue_size=0, **settings)
    for event in islice(events(), count):
        # max_queue_size 0 has no limit: with one, it drops what does not fit.
        client.track(
            user_id=event["userId"],
            event=event["event"],
            properties=event["properties"],
            timestamp=event["timestamp"],
            message_id=event["messageId"],
        )
    client.flush()


def main() -> None:
    who, port, count, settings = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
    send = {"ours": ours, "vendor": vendor}[who]
    send(port, 1_000, settings)  # imports and connections
    begun, busy = time.perf_counter(), time.process_time()
    send(port, count, settings)
    taken = {
        "seconds": time.perf_counter() - begun,
        "cpu_seconds": time.process_time() - busy,
        "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(taken))


if __name__ == "__main__":
    main()
