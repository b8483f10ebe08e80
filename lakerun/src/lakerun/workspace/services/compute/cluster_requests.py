"""The bodies of requests about clusters."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, StrictStr

from lakerun.workspace.requests import RequestModel


class ClusterSettings(RequestModel):
    """A cluster's settings; other fields are stored and shown."""

    model_config = ConfigDict(extra="allow")

    cluster_name: StrictStr | None = None
    spark_version: Annotated[StrictStr, Field(min_length=1)]
    num_workers: Annotated[int, Field(ge=0)] | None = None
    spark_conf: dict[str, StrictStr] | None = None
    custom_tags: dict[str, StrictStr] | None = None


class ClusterEdit(ClusterSettings):
    cluster_id: StrictStr


class ClusterId(RequestModel):
    cluster_id: StrictStr
