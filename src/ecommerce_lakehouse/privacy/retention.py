"""How long rows of logs are kept, by table: `RETENTION`. Other tables keep theirs until an erasure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Retention:
    """Tables whose name begins with `table` keep a row for so many days after the time in `column`."""

    table: str
    column: str
    days: int

    def cutoff(self, now: datetime) -> datetime:
        """The time before which rows go."""
        return now - timedelta(days=self.days)


# Rows that may quote people. What was sent, by receipts and state, has to stay, or it would be sent again; a
# quarantined line has to stay until an erasure, or reconciliation would miss it.
RETENTION = (
    Retention("activation_requests", "at", 90),
    Retention("activation_rejected", "rejected_at", 90),
    Retention("activation_runs", "at", 400),
    Retention("maintenance_log", "started_at", 400),
    Retention("event_log_", "timestamp", 400),
)


def retention_of(table: str) -> Retention | None:
    """How long a table keeps its rows; None for one that keeps them."""
    return next((each for each in RETENTION if table.startswith(each.table)), None)
