"""Alerts (v2): scheduled queries whose results set a state and cause notifications."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from lakerun.errors import LakerunError
from lakerun.sql.parameters import Parameter
from lakerun.sql.query import query
from lakerun.tables.arrow_rows import rows_of
from lakerun.tables.storage import Storage
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paging import page_of, page_size
from lakerun.workspace.services.checks import check, now_iso, now_ms
from lakerun.workspace.services.jobs.quartz import parse_quartz
from lakerun.workspace.services.sql.alert_model import Alert, AlertChange
from lakerun.workspace.services.sql.alert_rules import judge
from lakerun.workspace.services.sql.warehouses import Warehouses
from lakerun.workspace.store import Document, Store

if TYPE_CHECKING:
    from lakerun.workspace.services import Settings

logger = logging.getLogger(__name__)
KIND, NOTIFICATION = "alert", "notification"
MAX_ROWS = 10_000  # rows of a query's result that an alert evaluates
MAX_PAGE = 1000
_OUTPUT_ONLY = (
    "id",
    "create_time",
    "update_time",
    "lifecycle_state",
    "owner_user_name",
    "effective_run_as",
)
LATE_SECONDS = 60  # how late an evaluation may start, after the machine was asleep


class Alerts:
    """Alerts in the shape of `GET /api/2.0/alerts/{id}`; `start` evaluates them on their schedules.

    Notifications are not sent. Each is a document of kind "notification", whose parent is the alert's id:
    {"id", "time" (ms), "alert_id", "display_name", "state", "previous_state", "value", "message",
    "subscriptions"}.
    """

    def __init__(self, settings: Settings, storage: Storage, store: Store, warehouses: Warehouses) -> None:
        self._settings = settings
        self._storage = storage
        self._store = store
        self._warehouses = warehouses
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": LATE_SECONDS},
        )

    def start(self) -> None:
        """Evaluate on schedule from now on, until `close`."""
        self._scheduler.start()
        for body in self._store.list(KIND):
            self._schedule(body)

    def close(self) -> None:
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def create(self, alert: Alert) -> Document:
        given = alert.given()
        self._check(alert)
        now = now_iso()
        body = {key: value for key, value in given.items() if key not in _OUTPUT_ONLY}
        body |= {
            "id": str(uuid.uuid4()),
            "create_time": now,
            "update_time": now,
            "lifecycle_state": "ACTIVE",
            "owner_user_name": self._settings.user,
            "effective_run_as": given.get("run_as") or {"user_name": self._settings.user},
        }
        body["evaluation"] = given["evaluation"] | {"state": "UNKNOWN"}
        self._put(body)
        return body

    def get(self, id: str) -> Document:
        body = self._store.get(KIND, id)
        if body is None or body["lifecycle_state"] != "ACTIVE":
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Alert with ID '{id}' does not exist.")
        return body

    def update(self, id: str, change: AlertChange, update_mask: str = "*") -> Document:
        """Replace the mask's fields: `*` for all, or a list such as `evaluation.threshold,schedule`."""
        given = change.given()
        with self._store.transaction():
            body = self.get(id)
            kept = {key: body[key] for key in (*_OUTPUT_ONLY, "parent_path") if key in body}
            changed = given if update_mask == "*" else _masked(body, given, update_mask)
            self._check(check(Alert, changed))
            evaluated = ("state", "last_evaluated_at")
            evaluation = {k: v for k, v in changed["evaluation"].items() if k not in evaluated}
            evaluation |= {k: body["evaluation"][k] for k in evaluated if k in body["evaluation"]}
            run_as = changed.get("run_as") or {"user_name": self._settings.user}
            body = changed | kept | {"evaluation": evaluation, "effective_run_as": run_as}
            body["update_time"] = now_iso()
            self._put(body)
        return body

    def trash(self, id: str, purge: bool = False) -> None:
        body = self._store.get(KIND, id)
        if body is None or (not purge and body["lifecycle_state"] != "ACTIVE"):
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Alert with ID '{id}' does not exist.")
        if purge:
            self._store.delete(KIND, id)
            self._store.delete_children(NOTIFICATION, id)
        else:
            self._store.put(KIND, id, body | {"lifecycle_state": "DELETED"})
        self._unschedule(id)

    def page(self, size: int | None = None, token: str | None = None) -> tuple[list[Document], str | None]:
        """One page, and the token of the next page, None at the end."""
        active = [body for body in self._store.list(KIND) if body["lifecycle_state"] == "ACTIVE"]
        return page_of(active, token, page_size(size, MAX_PAGE, "page_size"))

    def notifications(self, alert_id: str | None = None, limit: int = 100) -> list[Document]:
        """Notifications of one alert, or of all, the newest first."""
        return self._store.list(NOTIFICATION, alert_id, newest_first=True, limit=limit)

    # Evaluation ---------------------------------------------------------------------------------------

    def evaluate(self, id: str) -> str:
        """Run the alert's query now and store its state: OK, TRIGGERED, UNKNOWN or ERROR."""
        alert = self.get(id)
        self._warehouses.use(alert["warehouse_id"])
        try:
            state, value, problem = *self._judge(alert), ""
        except LakerunError as error:
            state, value, problem = "ERROR", None, str(error)
            logger.warning("alert %s: %s", alert["display_name"], error)
        with self._store.transaction():
            alert = self.get(id)  # it may have changed while the query ran
            previous = alert["evaluation"].get("state", "UNKNOWN")
            alert["evaluation"] |= {"state": state, "last_evaluated_at": now_iso()}
            self._store.put(KIND, id, alert)
            if self._notifies(alert, previous, state):
                self._notify(alert, previous, state, value, problem)
        return state

    def _judge(self, alert: Document) -> tuple[str, Any]:
        given = [
            Parameter(p["name"], p.get("value"), p.get("type") or "STRING")
            for p in alert.get("parameters") or []
        ]
        table = query(alert["query_text"], self._storage, limit=MAX_ROWS, parameters=given)
        rows = [dict(zip(table.column_names, row, strict=True)) for row in rows_of(table)]
        return judge(alert["evaluation"], table.column_names, rows)

    def _notifies(self, alert: Document, previous: str, state: str) -> bool:
        """True for a change to TRIGGERED and, if configured, back to OK and repeatedly while TRIGGERED."""
        notification = alert["evaluation"].get("notification") or {}
        if state == "TRIGGERED":
            if previous != "TRIGGERED":
                return True
            again = int(notification.get("retrigger_seconds") or 0)
            last = self.notifications(alert["id"], limit=1)
            return bool(again) and (not last or now_ms() - last[0]["time"] >= again * 1000)
        return state == "OK" and previous == "TRIGGERED" and bool(notification.get("notify_on_ok"))

    def _notify(self, alert: Document, previous: str, state: str, value: Any, problem: str) -> None:
        notification = alert["evaluation"].get("notification") or {}
        id = str(self._store.next_id())
        body = {
            "id": id,
            "time": now_ms(),
            "alert_id": alert["id"],
            "display_name": alert["display_name"],
            "state": state,
            "previous_state": previous,
            "value": None if value is None else str(value),
            "message": problem or alert.get("custom_summary") or f"{alert['display_name']}: {state}",
            "subscriptions": notification.get("subscriptions") or [],
        }
        self._store.put(NOTIFICATION, id, body, parent=alert["id"])
        logger.info("alert %s: %s", alert["display_name"], state)

    # Schedule -----------------------------------------------------------------------------------------

    def _put(self, body: Document) -> None:
        self._store.put(KIND, body["id"], body)
        self._schedule(body)

    def _schedule(self, body: Document) -> None:
        if not self._scheduler.running:
            return
        schedule = body["schedule"]
        if schedule.get("pause_status") == "PAUSED" or body["lifecycle_state"] != "ACTIVE":
            self._unschedule(body["id"])
            return
        trigger = parse_quartz(schedule["quartz_cron_schedule"], schedule["timezone_id"]).trigger
        self._scheduler.add_job(self._due, trigger, args=[body["id"]], id=body["id"], replace_existing=True)

    def _unschedule(self, id: str) -> None:
        try:
            self._scheduler.remove_job(id)
        except JobLookupError:
            return

    def _due(self, id: str) -> None:
        try:
            self.evaluate(id)
        except ApiError as error:  # deleted after it became due
            logger.info("alert %s: %s", id, error)

    def _check(self, alert: Alert) -> None:
        self._warehouses.get(alert.warehouse_id)
        schedule = alert.schedule
        parse_quartz(schedule.quartz_cron_schedule, schedule.timezone_id, "schedule.quartz_cron_schedule")


def _masked(body: Document, given: Mapping[str, Any], mask: str) -> dict[str, Any]:
    """`body` with the mask's fields from `given`; a field that is not given is removed."""
    changed: dict[str, Any] = {**body, "evaluation": dict(body["evaluation"])}
    for path in mask.split(","):
        *above, last = path.strip().split(".")
        source: Any = given
        target = changed
        for part in above:
            source = source.get(part) if isinstance(source, Mapping) else None
            inner = target.get(part) or {}
            if not isinstance(inner, Mapping):
                raise invalid(f"update_mask: '{path}' is not a field of an alert.")
            target[part] = dict(inner)
            target = target[part]
        value = source.get(last) if isinstance(source, Mapping) else None
        target.pop(last, None)
        if value is not None:
            target[last] = value
    return changed
