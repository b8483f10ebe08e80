"""The bodies of requests about dashboards."""

from __future__ import annotations

from pydantic import StrictStr

from lakerun.workspace.requests import RequestModel


class DashboardDraft(RequestModel):
    """A draft, or a change of one: then only the given fields change. Every draft has a name.

    `serialized_dashboard` is JSON as text.
    """

    display_name: StrictStr | None = None
    parent_path: StrictStr | None = None
    serialized_dashboard: StrictStr | None = None
    warehouse_id: StrictStr | None = None
    etag: StrictStr | None = None


class Publication(RequestModel):
    embed_credentials: bool | None = None
    warehouse_id: StrictStr | None = None
