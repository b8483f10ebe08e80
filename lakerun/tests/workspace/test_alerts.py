"""Alerts: a query's value against a threshold, notifications, and the schedule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, ResourceDoesNotExist
from databricks.sdk.service.sql import (
    Aggregation,
    AlertEvaluationState,
    AlertV2,
    AlertV2Evaluation,
    AlertV2Notification,
    AlertV2Operand,
    AlertV2OperandColumn,
    AlertV2OperandValue,
    AlertV2Subscription,
    ComparisonOperator,
    CronSchedule,
    SchedulePauseStatus,
)
from deltalake import write_deltalake

from lakerun.errors import LakerunError
from lakerun.workspace.errors import ApiError
from lakerun.workspace.services.sql.alert_rules import judge
from lakerun.workspace.services.sql.warehouses import LOCAL_ID
from workspace.data_server import Workspace, serve, write_orders


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("alerts")
    write_orders(home)
    with serve(home) as running:
        yield running


@pytest.fixture(scope="module")
def client(workspace: Workspace) -> WorkspaceClient:
    return workspace.client()


def alert(name: str, query: str = "SELECT total FROM shop.sales.orders", limit: float = 10) -> AlertV2:
    """Triggered while the sum of `total` is above the limit."""
    return AlertV2(
        display_name=name,
        query_text=query,
        warehouse_id=LOCAL_ID,
        parent_path="/Workspace/Users/developer@example.com",
        evaluation=AlertV2Evaluation(
            source=AlertV2OperandColumn(name="total", aggregation=Aggregation.SUM),
            comparison_operator=ComparisonOperator.GREATER_THAN,
            threshold=AlertV2Operand(value=AlertV2OperandValue(double_value=limit)),
            empty_result_state=AlertEvaluationState.OK,
            notification=AlertV2Notification(
                notify_on_ok=True, subscriptions=[AlertV2Subscription(user_email="anna@example.com")]
            ),
        ),
        schedule=CronSchedule("0 0 3 * * ?", "UTC", SchedulePauseStatus.PAUSED),
    )


def test_an_alert_is_read_back_as_given(client: WorkspaceClient) -> None:
    given = alert("Read back")
    created = client.alerts_v2.create_alert(given)
    read = client.alerts_v2.get_alert(created.id or "")
    for field in ("display_name", "query_text", "warehouse_id", "parent_path", "schedule"):
        assert getattr(read, field) == getattr(given, field)
    assert read.evaluation.threshold == given.evaluation.threshold
    assert read.evaluation.notification == given.evaluation.notification
    assert read.evaluation.state == AlertEvaluationState.UNKNOWN
    assert read.owner_user_name == "developer@example.com"
    assert created.id in [a.id for a in client.alerts_v2.list_alerts(page_size=1)]


def test_an_update_replaces_the_fields_in_its_mask(client: WorkspaceClient) -> None:
    id = client.alerts_v2.create_alert(alert("Masked")).id or ""
    other = alert("Other name", limit=99)
    client.alerts_v2.update_alert(id, other, "evaluation.threshold,schedule.timezone_id")
    read = client.alerts_v2.get_alert(id)
    assert read.display_name == "Masked"
    assert read.evaluation.threshold == other.evaluation.threshold
    client.alerts_v2.update_alert(id, other, "*")
    assert client.alerts_v2.get_alert(id).display_name == "Other name"


def test_a_deleted_alert_does_not_exist(client: WorkspaceClient) -> None:
    kept = client.alerts_v2.create_alert(alert("Trash")).id or ""
    gone = client.alerts_v2.create_alert(alert("Purge")).id or ""
    client.alerts_v2.trash_alert(kept)
    client.alerts_v2.trash_alert(gone, purge=True)
    for id in (kept, gone):
        with pytest.raises(ResourceDoesNotExist, match=id):
            client.alerts_v2.get_alert(id)
        assert id not in [a.id for a in client.alerts_v2.list_alerts()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query_text": ""}, "query_text"),
        ({"warehouse_id": "nowhere"}, "SQL warehouse nowhere"),
        ({"schedule": CronSchedule("0 3 * * *", "UTC")}, "schedule.quartz_cron_schedule"),
        ({"schedule": CronSchedule("0 0 3 * * ?", "Moon/Base")}, "Moon/Base"),
    ],
)
def test_a_wrong_alert_is_refused_by_field(
    client: WorkspaceClient, change: dict[str, Any], message: str
) -> None:
    wrong = alert("Wrong")
    for field, value in change.items():
        setattr(wrong, field, value)
    with pytest.raises((InvalidParameterValue, ResourceDoesNotExist), match=message):
        client.alerts_v2.create_alert(wrong)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("evaluation", "none", "evaluation: "),
        ("evaluation.source", {"name": ""}, "evaluation.source.name: "),
        ("evaluation.source.aggregation", "TOTAL", "evaluation.source.aggregation: "),
        ("evaluation.comparison_operator", "ABOVE", "evaluation.comparison_operator: "),
        ("evaluation.threshold", "10", "evaluation.threshold: "),
        ("evaluation.threshold", None, "evaluation: .*threshold is required"),
        ("evaluation.threshold.value.double_value", "10", "evaluation.threshold.value.double_value"),
        ("evaluation.notification.retrigger_seconds", -1, "evaluation.notification.retrigger_seconds: "),
        ("schedule.pause_status", "SOMETIMES", "schedule.pause_status: "),
        ("parameters", [{"name": 7}], "parameters.0.name: "),
    ],
)
def test_a_wrong_type_is_refused_by_field(
    client: WorkspaceClient, field: str, value: object, message: str
) -> None:
    body = alert("Wrong").as_dict()
    *above, last = field.split(".")
    within = body
    for part in above:
        within = within[part]
    within[last] = value
    with pytest.raises(InvalidParameterValue, match=message):
        client.api_client.do("POST", "/api/2.0/alerts", body=body)


def test_notifications_are_recorded_on_changes(client: WorkspaceClient, workspace: Workspace) -> None:
    alerts, table = workspace.services.alerts, workspace.home / "tables/shop/marts/totals"

    def evaluate(*totals: str) -> str:
        values = pa.array([Decimal(t) for t in totals], pa.decimal128(10, 2))
        write_deltalake(table, pa.table({"total": values}), mode="overwrite")
        return alerts.evaluate(id)

    def notified() -> list[str]:
        return [n["state"] for n in reversed(alerts.notifications(id))]

    evaluate_first = pa.table({"total": pa.array([Decimal("0.00")], pa.decimal128(10, 2))})
    write_deltalake(table, evaluate_first)
    id = client.alerts_v2.create_alert(alert("Told", "SELECT total FROM shop.marts.totals")).id or ""
    assert evaluate("5.00", "5.00") == "OK"  # 10 is not above 10
    assert notified() == []
    assert evaluate("5.00", "5.01") == "TRIGGERED"
    assert evaluate("50.00") == "TRIGGERED"
    assert notified() == ["TRIGGERED"]  # once, while it stays triggered
    assert evaluate() == "OK"  # empty_result_state
    assert notified() == ["TRIGGERED", "OK"]
    newest = alerts.notifications(id, limit=2)[1]
    assert (newest["value"], newest["previous_state"]) == ("10.01", "OK")
    assert newest["subscriptions"] == [{"user_email": "anna@example.com"}]
    read = client.alerts_v2.get_alert(id).evaluation
    assert read.state == AlertEvaluationState.OK
    assert read.last_evaluated_at is not None


def test_a_triggered_alert_can_notify_repeatedly(client: WorkspaceClient, workspace: Workspace) -> None:
    again = alert("Again", limit=0)
    assert again.evaluation.notification is not None
    again.evaluation.notification.retrigger_seconds = 1
    id = client.alerts_v2.create_alert(again).id or ""
    for _ in range(2):
        workspace.services.alerts.evaluate(id)
    assert len(workspace.services.alerts.notifications(id)) == 1
    time.sleep(1.01)
    workspace.services.alerts.evaluate(id)
    assert len(workspace.services.alerts.notifications(id)) == 2


def test_a_failing_query_is_the_state_error(client: WorkspaceClient, workspace: Workspace) -> None:
    id = client.alerts_v2.create_alert(alert("Broken", "SELECT total FROM shop.sales.nowhere")).id or ""
    assert workspace.services.alerts.evaluate(id) == "ERROR"
    assert client.alerts_v2.get_alert(id).evaluation.state == AlertEvaluationState.ERROR


def test_an_alert_without_its_warehouse_keeps_its_state(
    client: WorkspaceClient, workspace: Workspace
) -> None:
    warehouse = client.api_client.do(
        "POST", "/api/2.0/sql/warehouses", body={"name": "Short-lived", "cluster_size": "Small"}
    )["id"]  # type: ignore[call-overload, index]
    given = alert("Homeless")
    given.warehouse_id = warehouse
    id = client.alerts_v2.create_alert(given).id or ""
    before = client.alerts_v2.get_alert(id).evaluation.state
    client.warehouses.delete(warehouse)
    with pytest.raises(ApiError, match=f"SQL warehouse {warehouse} does not exist") as refused:
        workspace.services.alerts.evaluate(id)
    assert refused.value.status == 404
    assert client.alerts_v2.get_alert(id).evaluation.state == before != AlertEvaluationState.ERROR


def test_alerts_are_evaluated_on_schedule_also_after_a_restart(tmp_path: Path) -> None:
    write_orders(tmp_path)
    every_second = alert("Scheduled")
    every_second.schedule = CronSchedule("* * * * * ?", "Europe/Berlin", SchedulePauseStatus.UNPAUSED)
    with serve(tmp_path) as first:
        id = first.client().alerts_v2.create_alert(every_second).id or ""
    with serve(tmp_path) as second:
        client = second.client()
        deadline = time.monotonic() + 15
        while client.alerts_v2.get_alert(id).evaluation.state != AlertEvaluationState.TRIGGERED:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        every_second.schedule.pause_status = SchedulePauseStatus.PAUSED
        client.alerts_v2.update_alert(id, every_second, "*")
        time.sleep(0.5)  # one that was due before
        stopped = client.alerts_v2.get_alert(id).evaluation.last_evaluated_at
        time.sleep(1.5)
        assert client.alerts_v2.get_alert(id).evaluation.last_evaluated_at == stopped


ROWS = [
    {"n": Decimal("0.1"), "s": "ready", "f": 2.0, "b": True, "z": None},
    {"n": Decimal("0.3"), "s": "late", "f": float("nan"), "b": False, "z": None},
    {"n": None, "s": "late", "f": 4.0, "b": None, "z": None},
]


@pytest.mark.parametrize(
    ("column", "aggregation", "operator", "value", "state"),
    [
        ("n", None, "EQUAL", {"double_value": 0.1}, "TRIGGERED"),  # the first row
        ("n", "SUM", "EQUAL", {"double_value": 0.4}, "TRIGGERED"),
        ("n", "SUM", "GREATER_THAN", {"double_value": 0.4}, "OK"),
        ("n", "COUNT", "EQUAL", {"double_value": 2}, "TRIGGERED"),
        ("n", "AVG", "GREATER_THAN_OR_EQUAL", {"double_value": 0.2}, "TRIGGERED"),
        ("n", "MIN", "LESS_THAN", {"double_value": 0.1}, "OK"),
        ("n", "MAX", "NOT_EQUAL", {"double_value": 0.3}, "OK"),
        ("s", "COUNT_DISTINCT", "EQUAL", {"double_value": 2}, "TRIGGERED"),
        ("S", None, "EQUAL", {"string_value": "ready"}, "TRIGGERED"),
        ("n", None, "LESS_THAN", {"string_value": "0.2"}, "TRIGGERED"),
        ("b", None, "EQUAL", {"bool_value": True}, "TRIGGERED"),
        ("b", None, "EQUAL", {"string_value": "false"}, "OK"),
        ("f", "MAX", "GREATER_THAN", {"double_value": 1e300}, "TRIGGERED"),  # NaN is above all numbers
        ("z", None, "IS_NULL", {}, "TRIGGERED"),
        ("z", "SUM", "IS_NOT_NULL", {}, "OK"),
        ("z", None, "GREATER_THAN", {"double_value": 1}, "UNKNOWN"),
    ],
)
def test_a_value_decides_the_state(
    column: str, aggregation: str | None, operator: str, value: dict[str, Any], state: str
) -> None:
    source = {"name": column} | ({"aggregation": aggregation} if aggregation else {})
    evaluation = {"source": source, "comparison_operator": operator, "threshold": {"value": value}}
    assert judge(evaluation, ["n", "s", "f", "b", "z"], ROWS)[0] == state


def test_a_threshold_may_be_a_column() -> None:
    evaluation = {
        "source": {"name": "n", "aggregation": "MAX"},
        "comparison_operator": "LESS_THAN",
        "threshold": {"column": {"name": "limit"}},
    }
    rows = [{"n": 3, "limit": 5}, {"n": 4, "limit": 1}]
    assert judge(evaluation, ["n", "limit"], rows) == ("TRIGGERED", 4)


def test_values_that_cannot_be_compared_are_an_error() -> None:
    evaluation = {
        "source": {"name": "s"},
        "comparison_operator": "EQUAL",
        "threshold": {"value": {"double_value": 1.0}},
    }
    with pytest.raises(LakerunError, match="'ready'"):
        judge(evaluation, ["s"], ROWS)
    with pytest.raises(LakerunError, match="Did you mean 'n'"):
        judge({**evaluation, "source": {"name": "nn"}}, ["n"], ROWS)
    assert judge(evaluation, ["s"], []) == ("UNKNOWN", None)
