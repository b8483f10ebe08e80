"""One request to erase people, from its start to its proof: `erase`.

    1. their keyed hashes are noted: what arrives from now on is dropped
    2. Customer.io forgets them, if there is a key for it
    3. everything of theirs is removed
    4. every file is scanned, and the scan signed
    5. the table `privacy_log` gets a row for each of them

Until the last step a note has what identifies them, so that a killed request is finished by any later one.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.erased import FOLDER, Secret, erased_at, mark_erased, privacy_secret
from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.errors import USAGE, ShopError
from ecommerce_lakehouse.privacy.forgetting import Forgets, NotSentError
from ecommerce_lakehouse.privacy.people import BLANK, People
from ecommerce_lakehouse.privacy.place import LogEntry, Place, Removed, Searched, Tell
from ecommerce_lakehouse.privacy.proof import Proof


class PrivacyError(ShopError):
    """A request that cannot be carried out; the message is one line that says what to do."""

    code = "NOT_ERASED"
    exit_code = USAGE


@dataclass(frozen=True)
class Outcome:
    """What a request did. `unknown` are ids of which there is nothing, `before` when others were erased."""

    request: str
    people: People
    removed: tuple[Removed, ...]
    unknown: tuple[str, ...]
    before: dict[str, str]
    proof: Proof | None = None
    proof_file: Path | None = None
    sent: str = ""
    not_sent: str = ""
    resumed: bool = False


def clean_ids(given: Sequence[str]) -> frozenset[str]:
    """Customer ids as the pipelines keep them. Raises PrivacyError for an empty one."""
    ids = frozenset(each.strip(BLANK) for each in given)
    if not ids or "" in ids:
        raise PrivacyError("A customer's id is empty: give it with --customer ID.")
    return ids


def preview(config: LakehouseConfig, place: Place, ids: frozenset[str], tell: Tell) -> Outcome:
    """What `erase` would remove. Nothing changes."""
    found = place.search(ids, tell)
    before = _before(config, ids)
    removed = tuple(place.remove(found.people, tell, dry_run=True))
    return Outcome("", found.people, removed, _unknown(found, before), before)


def erase(
    config: LakehouseConfig,
    place: Place,
    ids: frozenset[str],
    *,
    by: str,
    forgets: Forgets | None,
    tell: Tell,
) -> Outcome:
    """Erase people from the lakehouse and, with `forgets`, from Customer.io; and prove it.

    The people of an earlier request that was killed are erased with them. Repeating it is harmless: somebody
    whose later arrivals are in raw files is erased again. `place.exclusive` must be held. An id of which
    there is nothing, and that was not erased before, is not noted: it may be a mistake.
    """
    at = datetime.now(UTC)
    request = f"{at:%Y%m%dT%H%M%S}_{secrets.token_hex(4)}"
    left = place.unfinished()
    found = place.search(ids | (left.ids if left else frozenset()), tell)
    people = found.people | left if left else found.people
    before = _before(config, ids)
    known = found.known | (left.ids if left else frozenset())
    unknown = tuple(sorted(ids - known - before.keys()))
    people = People(people.ids - set(unknown), people.contacts, people.keys, people.shared)
    if not people.ids:
        return Outcome(request, people, (), unknown, before)
    secret = privacy_secret(config, create=True)
    place.begin(people)
    mark_erased(config, secret, people.ids, at)
    sent, not_sent = "", ""
    if forgets is not None:
        tell("Customer.io")
        try:
            sent = forgets(sorted(people.ids))
        except NotSentError as error:
            not_sent = str(error)
    removed = tuple(place.remove(people, tell, dry_run=False))
    tell("scanning every file")
    proof, file = _prove(config, place, people, secret, request, by, tell)
    rows = sum(item.rows for item in removed)
    place.record(_entries(proof, secret, people, rows, sent))
    if proof.scan.clean and not not_sent:
        place.finish()
    return Outcome(request, people, removed, unknown, before, proof, file, sent, not_sent, left is not None)


def _prove(
    config: LakehouseConfig, place: Place, people: People, secret: Secret, request: str, by: str, tell: Tell
) -> tuple[Proof, Path]:
    scan = place.scan(people, tell)
    proof = Proof(
        request=request,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=by,
        place=f"{config.catalog}.{config.schema}",
        people=tuple(sorted(secret.keyed_hash(each) for each in people.ids)),
        identifiers={
            "customer_id": len(people.ids),
            "contact": len(people.contacts),
            "record key": len(people.keys),
        },
        scan=scan,
    ).signed(secret)
    file = Path(config.folder_path(FOLDER)) / "proofs" / f"{request}.json"
    write_whole(file, proof.model_dump_json(indent=1) + "\n")
    return proof, file


def _entries(proof: Proof, secret: Secret, people: People, rows: int, sent: str) -> list[LogEntry]:
    return [
        LogEntry(
            at=proof.at,
            request=proof.request,
            action="erase",
            person=secret.keyed_hash(each),
            by=proof.by,
            files=len(proof.scan.files),
            bytes=proof.scan.size,
            rows=rows,
            findings=len(proof.scan.findings),
            sent=sent,
            signature=proof.signature,
        )
        for each in sorted(people.ids)
    ]


def _before(config: LakehouseConfig, ids: frozenset[str]) -> dict[str, str]:
    """Who of them was erased earlier, and when. Without a secret nobody was."""
    try:
        secret = privacy_secret(config)
    except ShopError:
        return {}
    return {each: at for each in sorted(ids) if (at := erased_at(config, secret, each))}


def _unknown(found: Searched, before: dict[str, str]) -> tuple[str, ...]:
    return tuple(sorted(found.people.ids - found.known - before.keys()))
