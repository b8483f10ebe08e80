"""Batches of orders as JSON files, one at a time or as a simulation of continuous arrivals: `OrderGenerator`.

Plain Python: a batch takes milliseconds, on a laptop and as a Databricks Python wheel task.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.arguments import add_config_arguments, config_from, usage_errors
from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.domain.entities import ORDER_BATCHES, ORDER_STATUSES
from ecommerce_lakehouse.generation.catalogue import MIN_PRICE, catalogue
from ecommerce_lakehouse.generation.manifest import GenerationError, skipped
from ecommerce_lakehouse.generation.order_revisions import Order, revisable, revisions
from ecommerce_lakehouse.generation.plan import REVISED_EVERY

DEFAULT_BATCH_SIZE = 100
DEFAULT_SEED = 42
DEFAULT_UPDATE_RATE = 1 / REVISED_EVERY
POPULARITY_EXPONENT = 0.8
STATUS_WEIGHTS = dict(zip(ORDER_STATUSES, (4, 6, 12, 68, 6, 4), strict=True))
QUANTITIES, QUANTITY_WEIGHTS = (1, 2, 3, 4, 5, 6), (50, 24, 13, 7, 4, 2)
MAX_AGE_SECONDS = 3600  # a batch holds the orders of the hour before it
EXAMPLES = """units: --interval and --end are minutes

examples:
  lakehouse generate orders                              one batch of 100 orders
  lakehouse generate orders --interval 1 --end 1 --batch-size 50
  lakehouse generate orders --interval 0.5 --end 60      a batch each half minute, for an hour
  lakehouse generate orders --issue-rate 0.05            with intentional issues, and a manifest of them
"""


def _null_key(order: Order) -> Order:
    return order | {"order_id": None}


def _bad_format(order: Order) -> Order:
    return order | {"price": "cheap"}


def _out_of_range(order: Order) -> Order:
    return order | {"items_ordered": 0}


def _future_date(order: Order) -> Order:
    return order | {"order_timestamp": "2999-01-01T00:00:00Z", "date_ordered": "2999-01-01"}


def _unknown_status(order: Order) -> Order:
    return order | {"status": "lost"}


# What an issue does to an order, and the dropping rules that its line then breaks.
ISSUES: Mapping[str, tuple[Callable[[Order], Order], tuple[str, ...]]] = {
    "null_key": (_null_key, ("valid_order_id",)),
    "bad_format": (_bad_format, ("valid_price",)),
    "out_of_range": (_out_of_range, ("valid_items_ordered",)),
    "future_date": (_future_date, ("order_not_in_future",)),
    "unknown_status": (_unknown_status, ("valid_status",)),
}


@dataclass(frozen=True)
class WrittenBatch:
    """A batch on disk: its file, how many orders it has, and how many lines have each intentional issue.

    `revisions` is how many more lines are about orders of the batch before.
    """

    path: Path
    orders: int
    issues: Mapping[str, int]
    revisions: int = 0

    def __str__(self) -> str:
        flawed = sum(self.issues.values())
        note = f", {flawed:,} with an intentional issue" if flawed else ""
        more = f", {self.revisions:,} lines about earlier ones" if self.revisions else ""
        return f"{self.path.name}: {self.orders:,} orders{more}{note}"


class OrderGenerator:
    """Makes orders of the shop's products and customers; the same seed, number and time give the same batch.

    `issue_rate`, 0 to 1, is the share of new orders with one intentional issue each; `update_rate`, 0 to 1,
    that of new orders which are pending and which the next batch has newer, late and repeated records of.
    Raises GenerationError for a value out of range.
    """

    def __init__(
        self,
        *,
        seed: int = DEFAULT_SEED,
        customers: int = 1000,
        issue_rate: float = 0.0,
        update_rate: float = 0.0,
    ) -> None:
        if customers < 1:
            raise GenerationError(f"customers must be at least 1, not {customers}.")
        if not 0 <= issue_rate <= 1:
            raise GenerationError(f"issue_rate must be from 0 to 1, not {issue_rate}.")
        if not 0 <= update_rate <= 1:
            raise GenerationError(f"update_rate must be from 0 to 1, not {update_rate}.")
        self.update_rate = update_rate
        self.seed = seed
        self.customers = customers
        self.issue_rate = issue_rate
        self._products = catalogue(seed, days=1)
        self._weights = [(rank + 2) ** -POPULARITY_EXPONENT for rank in range(len(self._products))]

    def orders(self, size: int, number: int, now: datetime) -> list[Order]:
        """`size` clean orders of batch `number`, placed within the hour before `now`.

        Each has order_id, order_item, price (shop's currency, two decimals), items_ordered, status,
        date_ordered (YYYY-MM-DD), customer_id, order_timestamp (UTC).
        """
        if size < 1:
            raise GenerationError(f"batch-size must be at least 1, not {size}.")
        draw = self._random(number, now)
        drawn = [self._order(draw, f"B{draw.getrandbits(64):016x}", now) for _ in range(size)]
        pending = self._revised(size)
        return [order | {"status": "pending"} for order in drawn[:pending]] + drawn[pending:]

    def write(self, folder: Path, size: int, number: int, now: datetime) -> WrittenBatch:
        """Write one batch into `folder` as JSON lines; a reader sees the whole file or none.

        After its orders it has lines about those of the newest batch in the folder. A manifest of intentional
        issues goes into the folder `manifests` beside `folder`.
        """
        earlier = revisable(folder, self._revised(size), now)
        revised = revisions(earlier, self._random(number, now, "revisions"), now)
        orders = self.orders(size, number, now)
        draw = self._random(number, now, "issues")
        chosen = draw.sample(range(size), round(size * self.issue_rate))
        kinds = {line: tuple(ISSUES)[position % len(ISSUES)] for position, line in enumerate(chosen)}
        lines = [
            ISSUES[kinds[line]][0](order) if line in kinds else order for line, order in enumerate(orders)
        ] + revised
        name = f"orders_{now:%Y%m%dT%H%M%S}_{number:05d}"
        counts = {kind: list(kinds.values()).count(kind) for kind in ISSUES}
        if self.issue_rate:
            rows = {"rows": len(lines), "revisions": len(revised)}
            manifest = {"file": f"{name}.json", **rows, "seed": self.seed, "issues": counts}
            write_whole(folder.parent / "manifests" / f"{name}.json", json.dumps(manifest, indent=2) + "\n")
        path = folder / f"{name}.json"
        write_whole(path, "".join(json.dumps(order, ensure_ascii=False) + "\n" for order in lines))
        return WrittenBatch(path, size, counts, len(revised))

    def _revised(self, size: int) -> int:
        """How many orders of a batch of this size the next one revises."""
        return round(size * self.update_rate)

    def _random(self, number: int, now: datetime, purpose: str = "orders") -> random.Random:
        return random.Random(f"{self.seed} {number} {now.isoformat()} {purpose}")

    def _order(self, draw: random.Random, order_id: str, now: datetime) -> Order:
        product = draw.choices(self._products, self._weights)[0]
        placed = now - timedelta(seconds=draw.randrange(MAX_AGE_SECONDS))
        price = max(MIN_PRICE, product.base_price * draw.gauss(1, 0.04))
        return {
            "order_id": order_id,
            "order_item": product.name,
            "price": round(price, 2),
            "items_ordered": draw.choices(QUANTITIES, QUANTITY_WEIGHTS)[0],
            "status": draw.choices(tuple(STATUS_WEIGHTS), tuple(STATUS_WEIGHTS.values()))[0],
            "date_ordered": f"{placed:%Y-%m-%d}",
            # Few customers come often and many rarely: their numbers are uniform on a logarithmic scale.
            "customer_id": f"C{int(self.customers ** draw.random()):06d}",
            "order_timestamp": f"{placed:%Y-%m-%dT%H:%M:%SZ}",
        }


def simulate(
    generator: OrderGenerator,
    folder: Path,
    *,
    interval_minutes: float,
    end_minutes: float,
    batch_size: int = DEFAULT_BATCH_SIZE,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[WrittenBatch]:
    """A batch now and after every interval, until `end_minutes` have passed; at least one.

    A batch that would start when the time is up is not written: an interval of 1 and an end of 1 give one.
    Raises GenerationError for an interval that is not positive.
    """
    if interval_minutes <= 0:
        raise GenerationError(f"interval must be above 0 minutes, not {interval_minutes:g}.")
    started = clock()
    number = 0
    while True:
        yield generator.write(folder, batch_size, number, clock().replace(microsecond=0))
        number += 1
        if number * interval_minutes >= end_minutes:
            return
        due = started + timedelta(minutes=number * interval_minutes)
        sleep(max(0.0, (due - clock()).total_seconds()))


def landing_folder(config: LakehouseConfig) -> Path:
    """`<volume>/orders/landing`, where the batches arrive."""
    return Path(config.folder_path(ORDER_BATCHES.folder))


def main(argv: Sequence[str] | None = None) -> None:
    """Write batches into the volume of an environment and print a line for each.

    Where the environment's data is delivered, it says so and writes nothing; the tasks after it run.
    `argv` defaults to the process's arguments; an empty value counts as not given. Raises SystemExit with
    code 2, after one line on standard error, for a wrong argument or setting.
    """
    parser = _parser()
    arguments = parser.parse_args(argv)
    given = {name: value for name, value in vars(arguments).items() if value not in (None, "")}
    try:
        with usage_errors(parser):
            config = config_from(arguments)
            if skipped(config):
                return
            generator = OrderGenerator(
                seed=_number(int, given, "seed", DEFAULT_SEED),
                customers=config.rows_generated.customers,
                issue_rate=_number(float, given, "issue_rate", 0.0),
                update_rate=_number(float, given, "update_rate", DEFAULT_UPDATE_RATE),
            )
            batches = simulate(
                generator,
                landing_folder(config),
                interval_minutes=_number(float, given, "interval", 1.0),
                end_minutes=_number(float, given, "end", 0.0),
                batch_size=_number(int, given, "batch_size", DEFAULT_BATCH_SIZE),
            )
            for batch in batches:
                print(batch, flush=True)
    except KeyboardInterrupt:
        parser.exit(130, "Stopped; every batch listed above is complete.\n")


def _number(kind: Callable[[str], Any], given: Mapping[str, str], name: str, default: Any) -> Any:
    try:
        return kind(given[name]) if name in given else default
    except ValueError:
        raise GenerationError(f"{name.replace('_', '-')}: '{given[name]}' is not a number.") from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lakehouse generate orders",
        description="Write batches of orders as JSON files into the volume's folder orders/landing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument("--interval", metavar="MINUTES", help="minutes between batches; default 1")
    parser.add_argument(
        "--end", metavar="MINUTES", help="stop after this many minutes; default: after one batch"
    )
    parser.add_argument(
        "--batch-size",
        "--batch_size",
        metavar="ORDERS",
        help=f"orders in a batch; default {DEFAULT_BATCH_SIZE}",
    )
    parser.add_argument(
        "--issue-rate",
        "--issue_rate",
        metavar="SHARE",
        help="share of new orders with an intentional issue, 0 to 1; default 0",
    )
    parser.add_argument(
        "--update-rate",
        "--update_rate",
        metavar="SHARE",
        help="share of orders that the next batch updates, with late and repeated records; "
        f"default {DEFAULT_UPDATE_RATE:g}",
    )
    parser.add_argument("--seed", help=f"seed of all random values; default {DEFAULT_SEED}")
    return parser


if __name__ == "__main__":
    main()
