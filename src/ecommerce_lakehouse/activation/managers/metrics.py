"""Counts and latencies of what managers do, kept in memory by any number of threads: `Metrics`."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0)
"""Upper bounds of the latency's classes, in seconds; the last class has none."""


@dataclass
class _Series:
    calls: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    longest: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * (len(SECONDS) + 1))


class Metrics:
    """What became of messages, and how long calls took, by manager and operation.

    Several managers may share one. Its size depends on the number of operations, not of calls.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[tuple[str, str], _Series] = {}

    def record(self, manager: str, operation: str, outcomes: Mapping[str, int], seconds: float) -> None:
        """Count one call: the messages by outcome, and the seconds from its begin to its end."""
        with self._lock:
            series = self._series.setdefault((manager, operation), _Series())
            series.calls += 1
            series.outcomes.update(outcomes)
            series.seconds += seconds
            series.longest = max(series.longest, seconds)
            series.classes[bisect_left(SECONDS, seconds)] += 1

    def snapshot(self) -> dict[str, dict[str, dict[str, Any]]]:
        """By manager and operation: calls, messages by outcome, mean and longest seconds of a call."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        with self._lock:
            for (manager, operation), series in sorted(self._series.items()):
                found.setdefault(manager, {})[operation] = {
                    "calls": series.calls,
                    "messages": dict(sorted(series.outcomes.items())),
                    "mean_seconds": series.seconds / series.calls,
                    "longest_seconds": series.longest,
                }
        return found

    def prometheus(self) -> str:
        """The same in the text format that Prometheus and OpenTelemetry's collector read."""
        messages = ["# TYPE customerio_messages_total counter"]
        latency = ["# TYPE customerio_call_seconds histogram"]
        with self._lock:
            for (manager, operation), series in sorted(self._series.items()):
                labels = f'manager="{_escaped(manager)}",operation="{_escaped(operation)}"'
                messages += [
                    f'customerio_messages_total{{{labels},outcome="{_escaped(outcome)}"}} {count}'
                    for outcome, count in sorted(series.outcomes.items())
                ]
                below = 0
                for bound, count in zip((*SECONDS, "+Inf"), series.classes, strict=True):
                    below += count
                    latency.append(f'customerio_call_seconds_bucket{{{labels},le="{bound}"}} {below}')
                latency.append(f"customerio_call_seconds_sum{{{labels}}} {series.seconds}")
                latency.append(f"customerio_call_seconds_count{{{labels}}} {series.calls}")
        return "\n".join([*messages, *latency, ""])


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
