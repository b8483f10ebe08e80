"""Who was erased, by keyed hashes only: `erased_people`, which the pipelines and the syncs ask.

    <volume>/privacy/erased.json   the keyed hash of each erased customer id, and when

A keyed hash is an HMAC with SHA-256. Without the secret nobody can tell whose it is by trying ids. The secret
is PRIVACY_SECRET, else the key `privacy_secret` of the settings' secret scope. On a laptop without either it
is a file of the data folder that only its owner can read, made at the first erasure.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.config.settings import ConfigError, LakehouseConfig

VARIABLE, KEY = "PRIVACY_SECRET", "privacy_secret"
SHORTEST = 16
FOLDER = "privacy"


class PrivacySecretError(ConfigError):
    """The secret of keyed hashes is missing or is another one than before; the message says what to do."""

    code = "NO_PRIVACY_SECRET"


@dataclass(frozen=True)
class Secret:
    """The secret, from which each purpose has a key of its own."""

    value: bytes

    def __repr__(self) -> str:
        return "Secret(...)"

    def key(self, purpose: str) -> bytes:
        """The key for one purpose: who knows it knows nothing of the others."""
        return hmac.digest(self.value, purpose.encode(), "sha256")

    def keyed_hash(self, customer_id: str) -> str:
        """What stands for a customer's id wherever it may not stand itself: 64 hexadecimal digits."""
        return keyed_hash(self.key("arrivals"), customer_id)


@dataclass(frozen=True)
class Erased:
    """The keyed hashes of the erased, and the key that makes them. `repr` shows neither."""

    hashes: frozenset[str]
    key: bytes

    def __repr__(self) -> str:
        return f"Erased({len(self.hashes)} people)"

    def __contains__(self, customer_id: str) -> bool:
        return keyed_hash(self.key, customer_id) in self.hashes


def keyed_hash(key: bytes, customer_id: str) -> str:
    """HMAC with SHA-256 over the id in UTF-8, in hexadecimal digits."""
    return hmac.new(key, customer_id.encode(), hashlib.sha256).hexdigest()


def erased_people(config: LakehouseConfig) -> Erased | None:
    """Those whose later arrivals are dropped; None if nobody was erased, which costs one look for a file.

    Raises PrivacySecretError without the secret: then it cannot be known who was erased, and nothing may
    arrive.
    """
    known = _read(config)
    if not known["erased"]:
        return None
    secret = privacy_secret(config)
    _check(secret, known["check"])
    return Erased(frozenset(known["erased"]), secret.key("arrivals"))


def mark_erased(config: LakehouseConfig, secret: Secret, customer_ids: Iterable[str], at: datetime) -> None:
    """Note that these people are erased, before anything goes. Noting them again changes nothing."""
    known = _read(config)
    if known["erased"]:
        _check(secret, known["check"])
    hashes = {secret.keyed_hash(each): at.isoformat(timespec="seconds") for each in customer_ids}
    content = {"check": _check_value(secret), "erased": {**hashes, **known["erased"]}}
    write_whole(_file(config), json.dumps(content, indent=1, sort_keys=True) + "\n")


def erased_at(config: LakehouseConfig, secret: Secret, customer_id: str) -> str | None:
    """When a person was erased, as text; None if they were not."""
    found: dict[str, str] = _read(config)["erased"]
    return found.get(secret.keyed_hash(customer_id))


def privacy_secret(config: LakehouseConfig, *, create: bool = False) -> Secret:
    """The secret; with `create`, a laptop without one gets one. PrivacySecretError if there is none."""
    given = os.environ.get(VARIABLE)
    if given is None and config.on_databricks:
        given = _from_scope(config.secret_scope)
    if given is None and config.tables_root is not None:
        given = _from_home(Path(config.tables_root).parent, create)
    if given is None:
        place = f"the key '{KEY}' of the secret scope '{config.secret_scope}', or {VARIABLE}"
        raise PrivacySecretError(f"The secret of keyed hashes is missing: set {place}.")
    if len(given) < SHORTEST:
        raise PrivacySecretError(
            f"The secret of keyed hashes is too short: {VARIABLE} needs {SHORTEST} characters."
        )
    return Secret(given.encode())


def secret_file(home: Path) -> Path:
    """Where a laptop keeps the secret if the environment does not give one."""
    return home / FOLDER / "secret"


def _from_home(home: Path, create: bool) -> str | None:
    file = secret_file(home)
    if not file.exists() and create:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".secret.{os.getpid()}")
        with open(
            draft, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as out:
            out.write(secrets.token_hex(32))
        draft.replace(file)
    return file.read_text(encoding="utf-8").strip() if file.exists() else None


def _from_scope(scope: str) -> str | None:
    try:
        # Databricks' own module.
        from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]
        from pyspark.sql import SparkSession

        return str(DBUtils(SparkSession.getActiveSession()).secrets.get(scope, KEY))
    except Exception:
        return None


def _file(config: LakehouseConfig) -> Path:
    return Path(config.folder_path(FOLDER)) / "erased.json"


def _read(config: LakehouseConfig) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(_file(config).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"erased": {}}
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{_file(config)} cannot be read, so it is unknown who was erased: {error}."
        ) from None
    return found


def _check_value(secret: Secret) -> str:
    return secret.key("check").hex()


def _check(secret: Secret, expected: object) -> None:
    if not hmac.compare_digest(_check_value(secret), str(expected)):
        raise PrivacySecretError(
            "The secret of keyed hashes is not the one with which people were erased: "
            f"set {VARIABLE}, or the key '{KEY}', as it was then."
        )
