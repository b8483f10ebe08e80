"""Notifies a webhook when a check starts to fail and when it recovers, once each: `notify_webhook`."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.observability.health_checks import Check, Health, amount
from ecommerce_lakehouse.observability.public_http import AddressRefusedError, post_json

TIMEOUT_SECONDS = 10.0
PAUSES_SECONDS = (0.5, 2.0)
"""Before the second and the third attempt."""


@dataclass(frozen=True)
class Notified:
    """How many messages arrived, how many did not, and why: one line, without the address."""

    sent: int
    unsent: int
    problem: str = ""


class _Alert(BaseModel):
    """A check that fails: since when, and whether the webhook was notified."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: datetime
    # Files of earlier versions call it `told`.
    notified: bool = Field(validation_alias=AliasChoices("notified", "told"))


_ALERTS = TypeAdapter(dict[str, _Alert])


def notify_webhook(
    health: Health, config: LakehouseConfig, url: SecretStr, pauses: Sequence[float] = PAUSES_SECONDS
) -> Notified:
    """POST one JSON message for each check that has started to fail, and for each that has recovered.

    A message has `text` (which chat services show), `status` (firing, resolved), `environment`, `key` (the
    check, and its dataset), `since`, and the check's own fields. `alerts/<environment>.json` in the volume
    records sent messages: a process killed after a message arrived sends it again, with the same
    `Idempotency-Key`. The next check sends the messages that did not arrive. Never raises for a webhook that
    is down, slow or wrong.
    """
    file = Path(config.volume_path) / "alerts" / f"{health.environment}.json"
    before = _read(file)
    checks = {_key(check): check for check in health.checks}
    failing = {key for key, check in checks.items() if check.verdict == "failed"}
    # A check without data neither fails nor recovers.
    well = {key for key in before if key not in checks or checks[key].verdict == "ok"}
    alerts = {key: alert for key, alert in before.items() if alert.notified or key not in well}
    alerts |= {key: _Alert(since=health.now, notified=False) for key in failing if key not in alerts}
    if alerts != before:
        _write(file, alerts)
    messages = [(key, "firing") for key in sorted(failing) if not alerts[key].notified]
    messages += [(key, "resolved") for key in sorted(well) if key in alerts]
    for number, (key, status) in enumerate(messages):
        problem = _post(_message(health, key, status, checks.get(key), alerts[key].since), url, pauses)
        if problem:
            return Notified(number, len(messages) - number, problem)
        if status == "firing":
            alerts[key] = alerts[key].model_copy(update={"notified": True})
        else:
            del alerts[key]
        _write(file, alerts)
    return Notified(len(messages), 0)


def _message(health: Health, key: str, status: str, check: Check | None, since: datetime) -> dict[str, Any]:
    figure = "" if check is None or check.figure is None else f": {amount(check.figure, check.unit)}"
    target = (
        f", target {'>' if check.passes_above else '<'} {amount(check.target, check.unit)}" if check else ""
    )
    verb = "fails" if status == "firing" else "has recovered"
    return {
        "text": f"{health.environment}: {key} {verb}{figure}{target}",
        "status": status,
        "environment": health.environment,
        "key": key,
        "since": since.isoformat(),
        "check": asdict(check) if check else None,
    }


def _post(message: dict[str, Any], url: SecretStr, pauses: Sequence[float]) -> str:
    """Empty if it arrived, else why not. A refusal (3xx, 4xx other than 408 and 429) is not tried again."""
    identity = f"{message['environment']}|{message['key']}|{message['status']}|{message['since']}"
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": hashlib.sha256(identity.encode()).hexdigest()[:32],
    }
    problem = ""
    for pause in (*pauses, None):
        try:
            post_json(url.get_secret_value(), json.dumps(message).encode(), headers, TIMEOUT_SECONDS)
            return ""
        except AddressRefusedError as error:
            return str(error)
        except urllib.error.HTTPError as error:
            error.close()
            problem = f"it answered {error.code}"
            if error.code < 400:
                return f"{problem}, a redirect, which is not followed"
            if error.code < 500 and error.code not in (408, 429):
                return problem
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Only the type: a message may hold the address, which often holds a token.
            reason = getattr(error, "reason", error)
            problem = f"it cannot be reached ({type(reason).__name__})"
        if pause is not None:
            time.sleep(pause)
    return problem


def _key(check: Check) -> str:
    return f"{check.name} of {check.subject}" if check.subject else check.name


def _read(file: Path) -> dict[str, _Alert]:
    # After an unreadable file everything that fails is sent again, rather than never.
    with suppress(OSError, ValidationError):
        return _ALERTS.validate_json(file.read_bytes())
    return {}


def _write(file: Path, alerts: dict[str, _Alert]) -> None:
    write_whole(file, _ALERTS.dump_json(alerts, indent=2).decode())
