"""The fields of an alert, and their checks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictFloat, StrictInt, StrictStr
from pydantic import model_validator as validator

from lakerun.workspace.requests import LARGEST, Definition
from lakerun.workspace.services.sql.alert_rules import NULL_TESTS

State = Literal["UNKNOWN", "OK", "TRIGGERED", "ERROR"]
Aggregation = Literal["SUM", "COUNT", "COUNT_DISTINCT", "AVG", "MEDIAN", "MIN", "MAX", "STDDEV"]
Comparison = Literal[
    "LESS_THAN",
    "LESS_THAN_OR_EQUAL",
    "EQUAL",
    "NOT_EQUAL",
    "GREATER_THAN",
    "GREATER_THAN_OR_EQUAL",
    "IS_NULL",
    "IS_NOT_NULL",
]


class _Column(BaseModel):
    name: StrictStr = Field(min_length=1)
    aggregation: Aggregation | None = None


class _Value(BaseModel):
    double_value: StrictFloat | StrictInt | None = None
    string_value: StrictStr | None = None
    bool_value: StrictBool | None = None


class _Operand(BaseModel):
    column: _Column | None = None
    value: _Value | None = None


class _Notification(BaseModel):
    notify_on_ok: StrictBool | None = None
    retrigger_seconds: StrictInt | None = Field(default=None, ge=0, le=LARGEST)
    subscriptions: list[dict[str, Any]] | None = None


class _Evaluation(BaseModel):
    source: _Column
    comparison_operator: Comparison
    threshold: _Operand | None = None
    empty_result_state: State | None = None
    notification: _Notification | None = None

    @validator(mode="after")
    def _compares(self) -> _Evaluation:
        operand = self.threshold or _Operand()
        if self.comparison_operator not in NULL_TESTS and not (operand.column or operand.value):
            raise ValueError("a threshold is required: a value or a column")
        return self


class _Schedule(BaseModel):
    quartz_cron_schedule: StrictStr
    timezone_id: StrictStr
    pause_status: Literal["PAUSED", "UNPAUSED"] | None = None


class _Parameter(BaseModel):
    name: StrictStr = Field(min_length=1)
    value: StrictStr | None = None
    type: StrictStr | None = None


class Alert(Definition):
    """An alert; unknown fields are stored and shown."""

    display_name: StrictStr = Field(min_length=1)
    query_text: StrictStr = Field(min_length=1)
    warehouse_id: StrictStr = Field(min_length=1)
    evaluation: _Evaluation
    schedule: _Schedule
    parameters: list[_Parameter] | None = None
    custom_summary: StrictStr | None = None
    run_as: dict[str, StrictStr] | None = None


class AlertChange(Definition):
    """New values of the fields in the request's `update_mask`; the changed alert is checked."""

    display_name: Any = None
    query_text: Any = None
    warehouse_id: Any = None
    evaluation: Any = None
    schedule: Any = None
    parameters: Any = None
    custom_summary: Any = None
    run_as: Any = None
