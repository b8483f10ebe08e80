"""Secret scopes, secrets and their access control. Lists, errors and logs never contain a value."""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from pathlib import Path

from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.store import Document, Store

PERMISSIONS = ("READ", "WRITE", "MANAGE")
MAX_VALUE_BYTES = 128 * 1024
MAX_SECRETS = 1000  # of a scope
_NAME = re.compile(r"[\w.@-]{1,128}", re.ASCII)


class Secrets:
    """Scopes in their own database, which only the owner of the file can read."""

    def __init__(self, path: Path, user: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # SQLite gives its side files the mode of the database, so set it before the first write.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        path.chmod(0o600)
        self._store = Store(path)
        self._user = user

    def close(self) -> None:
        self._store.close()

    def get_value(self, scope: str, key: str) -> bytes:
        """A secret's value, for `dbutils.secrets` in runs; RESOURCE_DOES_NOT_EXIST if there is none."""
        self._scope(scope)
        secret = self._store.get("secret", _id(scope, key))
        if secret is None:
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret {key} does not exist in scope {scope}.")
        return base64.b64decode(secret["value"])

    def values(self) -> list[bytes]:
        """Every value, so that logs can be redacted."""
        return [base64.b64decode(secret["value"]) for secret in self._store.list("secret")]

    # Scopes -------------------------------------------------------------------------------------------

    def create_scope(
        self, scope: str, initial_manage_principal: str | None = None, backend: str | None = None
    ) -> None:
        """Create a scope that the user manages, and also `users` if that is the initial principal."""
        _check_name("scope", scope)
        if backend not in (None, "", "DATABRICKS"):
            raise invalid(f"scope_backend_type: only DATABRICKS is supported; given: {backend}.")
        if initial_manage_principal not in (None, "", "users"):
            raise invalid("initial_manage_principal: only 'users' is supported.")
        acls = {self._user: "MANAGE"} | ({"users": "MANAGE"} if initial_manage_principal else {})
        with self._store.transaction():
            if self._store.get("scope", scope):
                raise ApiError("RESOURCE_ALREADY_EXISTS", f"Scope {scope} already exists!")
            self._store.put("scope", scope, {"name": scope, "backend_type": "DATABRICKS", "acls": acls})

    def scopes(self) -> list[Document]:
        return [
            {"name": scope["name"], "backend_type": scope["backend_type"]}
            for scope in self._store.list("scope")
        ]

    def delete_scope(self, scope: str) -> None:
        with self._store.transaction():
            self._scope(scope)
            self._store.delete_children("secret", scope)
            self._store.delete("scope", scope)

    # Secrets ------------------------------------------------------------------------------------------

    def put(
        self, scope: str, key: str, string_value: str | None = None, bytes_value: str | None = None
    ) -> None:
        """Store one value, either text or bytes in base64."""
        _check_name("key", key)
        if (string_value is None) == (bytes_value is None):
            raise invalid("Exactly one of string_value and bytes_value must be given.")
        try:
            value = (
                string_value.encode()
                if string_value is not None
                else base64.b64decode(bytes_value or "", validate=True)
            )
        except (binascii.Error, ValueError):  # their texts could contain part of the value
            field = "string_value" if string_value is not None else "bytes_value"
            raise invalid(f"{field}: the value cannot be decoded.") from None
        if len(value) > MAX_VALUE_BYTES:
            raise invalid(f"The value is too large: the limit is {MAX_VALUE_BYTES} bytes.")
        with self._store.transaction():
            self._scope(scope)
            known = self._store.list("secret", scope)
            if len(known) >= MAX_SECRETS and all(secret["key"] != key for secret in known):
                raise invalid(f"Scope {scope} already has {MAX_SECRETS} secrets, which is the limit.")
            body = {
                "key": key,
                "last_updated_timestamp": time.time_ns() // 1_000_000,
                "value": base64.b64encode(value).decode(),
            }
            self._store.put("secret", _id(scope, key), body, parent=scope)

    def get(self, scope: str, key: str) -> Document:
        """The key, and the value in base64, as the API answers."""
        return {"key": key, "value": base64.b64encode(self.get_value(scope, key)).decode()}

    def keys(self, scope: str) -> list[Document]:
        """The keys, with the times of their last changes."""
        self._scope(scope)
        secrets = ({k: s[k] for k in s if k != "value"} for s in self._store.list("secret", scope))
        return sorted(secrets, key=lambda secret: str(secret["key"]))

    def delete(self, scope: str, key: str) -> None:
        self._scope(scope)
        if not self._store.delete("secret", _id(scope, key)):
            raise ApiError("RESOURCE_DOES_NOT_EXIST", f"Secret {key} does not exist in scope {scope}.")

    # Access -------------------------------------------------------------------------------------------

    def put_acl(self, scope: str, principal: str, permission: str) -> None:
        if permission not in PERMISSIONS:
            raise invalid(f"permission: '{permission}' is not one of {', '.join(PERMISSIONS)}.")
        if not principal:
            raise invalid("principal: a name is required.")
        with self._store.transaction():
            body = self._scope(scope)
            body["acls"][principal] = permission
            self._store.put("scope", scope, body)

    def acls(self, scope: str) -> list[Document]:
        return [{"principal": p, "permission": level} for p, level in self._scope(scope)["acls"].items()]

    def get_acl(self, scope: str, principal: str) -> Document:
        for acl in self.acls(scope):
            if acl["principal"] == principal:
                return acl
        raise _no_acl(scope, principal)

    def delete_acl(self, scope: str, principal: str) -> None:
        with self._store.transaction():
            body = self._scope(scope)
            if body["acls"].pop(principal, None) is None:
                raise _no_acl(scope, principal)
            self._store.put("scope", scope, body)

    def _scope(self, scope: str) -> Document:
        found = self._store.get("scope", scope)
        if found is None:
            raise missing("Scope", scope)
        return found


def _id(scope: str, key: str) -> str:
    return f"{scope}/{key}"  # neither has a slash


def _check_name(field: str, name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid(
            f"{field}: a name has 1 to 128 letters, digits, dashes, underscores, periods or @ signs."
        )


def _no_acl(scope: str, principal: str) -> ApiError:
    return ApiError("RESOURCE_DOES_NOT_EXIST", f"Principal {principal} has no permission on scope {scope}.")
