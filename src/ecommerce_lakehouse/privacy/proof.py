"""The proof of an erasure: what was scanned, signed with the secret: `Proof`."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from ecommerce_lakehouse.config.erased import Secret
from ecommerce_lakehouse.errors import USAGE, ShopError
from ecommerce_lakehouse.privacy.scan import Scan


class ProofError(ShopError):
    """A proof cannot be read, or it is not what was signed; the message is one line."""

    code = "INVALID_PROOF"
    exit_code = USAGE


class Proof(BaseModel):
    """Who was looked for, by keyed hashes, when and where, what was scanned and found, and the signature."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    request: str
    at: str
    by: str
    place: str
    people: tuple[str, ...]
    identifiers: dict[str, int]
    scan: Scan
    signature: str = ""

    def signed(self, secret: Secret) -> Proof:
        """This proof with its signature."""
        return self.model_copy(update={"signature": self._signature(secret)})

    def check(self, secret: Secret) -> None:
        """Raise ProofError unless this is what was signed."""
        if not hmac.compare_digest(self.signature, self._signature(secret)):
            raise ProofError(
                f"The proof {self.request} was not signed with this secret, or it has changed since."
            )

    def _signature(self, secret: Secret) -> str:
        content = json.dumps(self.model_dump(exclude={"signature"}), sort_keys=True, ensure_ascii=False)
        return hmac.new(secret.key("proof"), content.encode(), hashlib.sha256).hexdigest()


def read_proof(file: Path) -> Proof:
    """The proof in a file."""
    try:
        return Proof.model_validate_json(file.read_bytes())
    except OSError as error:
        raise ProofError(f"{file} cannot be read: {error.strerror}.") from None
    except ValidationError:
        raise ProofError(f"{file} is not a proof of an erasure.") from None
