"""Objects, such as companies or households, and who belongs to them: `ObjectsManager`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.customerio.builders import track
from ecommerce_lakehouse.activation.customerio.fields import DeletedObject, DeletedRelationship
from ecommerce_lakehouse.activation.customerio.models import Group
from ecommerce_lakehouse.activation.customerio.outcomes import Outcome
from ecommerce_lakehouse.activation.managers.base import ClientManager


class ObjectsManager(ClientManager):
    """Adds objects and relationships, and ends them.

    `object_type` is the number that Customer.io shows beside the object's type. Without it Customer.io takes
    the first type.
    """

    name: ClassVar[str] = "objects"

    def put(
        self, object_id: str, traits: Mapping[str, Any] | None = None, *, object_type: int | str = 1
    ) -> Outcome:
        """Add an object, or set its traits."""
        given = {**(traits or {}), "object_type_id": object_type}
        return self._send("put", lambda: Group(group_id=object_id, traits=given))

    def relate(
        self,
        user_id: str,
        object_id: str,
        attributes: Mapping[str, Any] | None = None,
        *,
        object_type: int | str = 1,
    ) -> Outcome:
        """Relate a person to an object, which is added if it does not exist.

        `attributes` belong to the relationship, such as the person's role in a company.
        """
        given: dict[str, Any] = {"object_type_id": object_type}
        if attributes:
            given["relationshipAttributes"] = dict(attributes)
        return self._send("relate", lambda: Group(group_id=object_id, user_id=user_id, traits=given))

    def unrelate(self, user_id: str, object_id: str, *, object_type: int | str = 1) -> Outcome:
        """End a person's relationship to an object; both stay."""
        gone: DeletedRelationship = {"objectId": object_id, "objectTypeId": object_type}
        return self._send("unrelate", lambda: track(registry.RELATIONSHIP_DELETED, gone, user_id=user_id))

    def delete(self, object_id: str, *, object_type: int | str = 1) -> Outcome:
        """Delete an object, and with it its relationships."""
        gone: DeletedObject = {"objectId": object_id, "objectTypeId": object_type}
        return self._send("delete", lambda: track(registry.OBJECT_DELETED, gone))
