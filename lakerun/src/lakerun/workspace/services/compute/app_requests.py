"""The bodies of requests about apps."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, StrictStr, model_validator

from lakerun.workspace.requests import Count, RequestModel

# As on Databricks, and `_`, which the name of its own example has.
APP_NAME = r"^[a-z0-9][a-z0-9_-]*$"
LONGEST_NAME = 30


class AppResource(RequestModel):
    """Something that the app may use, such as a job; its other fields are stored and shown."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[StrictStr, Field(min_length=1)]
    description: StrictStr | None = None


class AppSettings(RequestModel):
    """The settings of an app that an update can change."""

    description: StrictStr | None = None
    budget_policy_id: StrictStr | None = None
    usage_policy_id: StrictStr | None = None
    resources: list[AppResource] | None = None
    user_api_scopes: list[StrictStr] | None = None
    compute_size: Literal["MEDIUM", "LARGE", "XLARGE"] | None = None
    compute_min_instances: Count | None = None
    compute_max_instances: Count | None = None
    git_repository: dict[str, Any] | None = None
    telemetry_export_destinations: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _both_limits(self) -> Self:
        if (self.compute_min_instances is None) != (self.compute_max_instances is None):
            raise ValueError("give compute_min_instances and compute_max_instances together")
        return self


class NewApp(AppSettings):
    name: Annotated[StrictStr, Field(pattern=APP_NAME, max_length=LONGEST_NAME)]
    space: StrictStr | None = None


class AppReplacement(AppSettings):
    """All settings of an app; one that is not given is cleared. The name may be repeated, not changed."""

    name: StrictStr | None = None


class AppUpdate(RequestModel):
    """The settings in `update_mask`, `*` for all; of them, one that is not given is cleared."""

    app: dict[str, Any] = {}
    update_mask: StrictStr
