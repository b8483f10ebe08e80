"""What managers did and how the API answered, together: `ObservabilityManager`."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import asdict
from typing import Any, ClassVar

from ecommerce_lakehouse.activation.customerio.calls import Attempt
from ecommerce_lakehouse.activation.managers.base import Manager
from ecommerce_lakehouse.activation.managers.metrics import Metrics
from ecommerce_lakehouse.observability.health_checks import Check

KEPT = 10_000
"""Attempts that are kept for the log of requests until `drain` takes them."""


class ObservabilityManager(Manager):
    """Metrics of all managers that share its `metrics`, and of each request to the API.

    It is made before the client, which tells it of each attempt: `Client(settings, observe=seen.observe)`.
    """

    name: ClassVar[str] = "requests"

    def __init__(self, metrics: Metrics | None = None, *, kept: int = KEPT) -> None:
        super().__init__(metrics=metrics)
        self._attempts: deque[Attempt] = deque()
        self._kept, self._dropped = kept, 0
        self._lock = threading.Lock()

    def observe(self, attempt: Attempt) -> None:
        """Count an attempt by its status, and keep it for the log of requests."""
        answer = str(attempt.status or attempt.error)
        self.metrics.record(self.name, attempt.endpoint, {answer: 1}, attempt.seconds)
        with self._lock:
            self._attempts.append(attempt)
            while len(self._attempts) > self._kept:
                self._attempts.popleft()
                self._dropped += 1

    def drain(self) -> list[dict[str, Any]]:
        """The attempts since the last call, as rows of a log of requests: nothing of a message is in them."""
        with self._lock:
            attempts, self._attempts = list(self._attempts), deque()
        return [asdict(attempt) for attempt in attempts]

    def get_metrics(self) -> dict[str, Any]:
        """Calls by manager and operation, requests by endpoint and status, and how many were not kept."""
        calls = self.metrics.snapshot()
        requests = calls.pop(self.name, {})
        return {"manager": self.name, "calls": calls, "requests": requests, "not_kept": self._dropped}

    def prometheus_text(self) -> str:
        """The metrics in the text format that Prometheus and OpenTelemetry's collector read."""
        return self.metrics.prometheus()

    def health(self, *, success_percent: float = 99.0, mean_ms: float = 1_000.0) -> list[Check]:
        """The API's answers against two targets, as checks of the lakehouse's own health check.

        The success rate is the share of attempts that were answered by 200, the response time the mean of
        all attempts. Without an attempt there is no verdict.
        """
        requests = self.metrics.snapshot().get(self.name, {}).values()
        answers: dict[str, int] = {}
        seconds = 0.0
        for request in requests:
            seconds += request["mean_seconds"] * request["calls"]
            for status, count in request["messages"].items():
                answers[status] = answers.get(status, 0) + count
        total = sum(answers.values())
        rate = 100 * answers.get("200", 0) / total if total else None
        mean = 1000 * seconds / total if total else None
        return [
            _check("API success rate", rate, success_percent, "%", above=True),
            _check("API response time", mean, mean_ms, "ms", above=False),
        ]


def _check(name: str, figure: float | None, target: float, unit: str, *, above: bool) -> Check:
    if figure is None:
        return Check(name, "Customer.io", None, target, unit, "no data", "", passes_above=above)
    passed = figure >= target if above else figure <= target
    return Check(
        name, "Customer.io", figure, target, unit, "ok" if passed else "failed", "", passes_above=above
    )
