"""The bodies of requests about SQL warehouses."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictInt, StrictStr

from lakerun.workspace.requests import LARGEST, Definition

Number = Annotated[StrictInt, Field(ge=0, le=LARGEST)]


class WarehouseSettings(Definition):
    """A warehouse's settings; other fields are stored and shown. A new one needs a name."""

    name: StrictStr | None = None
    cluster_size: StrictStr | None = None
    auto_stop_mins: Number | None = None
    min_num_clusters: Number | None = None
    max_num_clusters: Number | None = None
    enable_serverless_compute: bool | None = None
    warehouse_type: StrictStr | None = None
