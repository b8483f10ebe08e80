"""The bodies of requests about pipelines and their updates."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictStr

from lakerun.workspace.requests import Definition, Name, RequestModel, RunAs, Whole


class PipelineLibrary(RequestModel):
    model_config = ConfigDict(extra="allow")

    glob: dict[str, StrictStr] | None = None
    file: dict[str, StrictStr] | None = None
    notebook: dict[str, StrictStr] | None = None


class EventLog(RequestModel):
    """The table in which the event log is published."""

    model_config = ConfigDict(extra="allow")

    catalog: Name | None = None
    # Pydantic's models already have an attribute named "schema".
    schema_: Name | None = Field(default=None, alias="schema")
    name: Name


class Notification(RequestModel):
    alerts: list[StrictStr] | None = None
    email_recipients: list[StrictStr] | None = None


class PipelineDefinition(Definition):
    """A pipeline. `expected_last_modified` guards an edit against a concurrent change."""

    name: Annotated[StrictStr, Field(min_length=1)]
    catalog: Name | None = None
    # Pydantic's models already have an attribute named "schema".
    schema_: Name | None = Field(default=None, alias="schema")
    target: Name | None = None
    configuration: dict[str, StrictStr] | None = None
    libraries: list[PipelineLibrary] | None = None
    continuous: bool | None = None
    development: bool | None = None
    serverless: bool | None = None
    root_path: StrictStr | None = None
    event_log: EventLog | None = None
    notifications: list[Notification] | None = None
    run_as: RunAs | None = None
    environment: dict[str, Any] | None = None
    allow_duplicate_names: bool | None = None
    expected_last_modified: Whole | None = None


class StartUpdate(Definition):
    """An update. The service also reads these fields from a pipeline task, and checks both."""

    full_refresh: Any = False
    validate_only: Any = False
    refresh_selection: Any = None
    full_refresh_selection: Any = None
    cause: Any = None
