"""The bodies of SCIM's requests."""

from __future__ import annotations

from pydantic import Field, StrictBool, StrictStr

from lakerun.workspace.requests import Definition


class NewIdentity(Definition):
    """A user, a group or a service principal. A user needs `userName`, the others `displayName`."""

    user_name: StrictStr | None = Field(default=None, alias="userName")
    display_name: StrictStr | None = Field(default=None, alias="displayName")
    application_id: StrictStr | None = Field(default=None, alias="applicationId")
    active: StrictBool | None = None
