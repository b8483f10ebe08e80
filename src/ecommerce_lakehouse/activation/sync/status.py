"""What the tables of activation say of each sync, in SQL: `statuses`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ecommerce_lakehouse.observability.lakehouse import Lakehouse


def statuses(lakehouse: Lakehouse, syncs: Sequence[str]) -> list[dict[str, Any]]:
    """A mapping for each sync.

    `last_run` is the newest line of the run log, or None; `delivered` counts the rows that Customer.io has,
    `rejected` those that it does not have because they were rejected, and `reasons` counts them by reason.
    """
    there = {table.name for table in lakehouse.tables()}
    state, runs, rejected = (
        lakehouse.reference(f"activation_{name}") for name in ("state", "runs", "rejected")
    )
    last: dict[str, dict[str, Any]] = {}
    counts: dict[str, dict[str, Any]] = {}
    reasons: dict[str, dict[str, int]] = {}
    if "activation_runs" in there:
        rows = lakehouse.rows(
            f"""
            SELECT run_id, sync, event, at, accepted, rejected, due, sent_bytes, seconds, error
            FROM (SELECT *, row_number() OVER (PARTITION BY sync ORDER BY at DESC) AS n FROM {runs}) AS r
            WHERE n = 1
            """
        )
        last = {row["sync"]: row for row in rows}
    if "activation_state" in there:
        rows = lakehouse.rows(
            "SELECT sync, count_if(fingerprint IS NOT NULL AND NOT deleted) AS delivered, "
            f"count_if(rejected IS NOT NULL) AS rejected FROM {state} GROUP BY sync"
        )
        counts = {row["sync"]: row for row in rows}
    if {"activation_state", "activation_rejected"} <= there:
        # A row may have been rejected for several reasons in turn: the newest counts.
        rows = lakehouse.rows(
            "SELECT sync, reason, count(*) AS rows FROM (SELECT r.sync, r.reason, row_number() OVER "
            "(PARTITION BY r.sync, r.key ORDER BY r.rejected_at DESC) AS n "
            f"FROM {rejected} AS r JOIN {state} AS s ON r.sync = s.sync AND r.key = s.key "
            "AND r.fingerprint = s.rejected) AS newest WHERE n = 1 GROUP BY sync, reason "
            "ORDER BY rows DESC, reason"
        )
        for row in rows:
            reasons.setdefault(row["sync"], {})[row["reason"]] = row["rows"]
    return [
        {
            "sync": sync,
            "last_run": last.get(sync),
            "delivered": counts.get(sync, {}).get("delivered", 0),
            "rejected": counts.get(sync, {}).get("rejected", 0),
            "reasons": reasons.get(sync, {}),
        }
        for sync in syncs
    ]
