"""A webhook is notified of each failing check once, tested with a real receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.config.files import write_whole
from ecommerce_lakehouse.observability import health as health_command
from ecommerce_lakehouse.observability.health_checks import Check, Health, Verdict
from ecommerce_lakehouse.observability.webhook import Notified, notify_webhook
from lakerun.tables.storage import Storage
from tests.unit.health_data import Log

NOON = datetime(2024, 3, 1, 12, tzinfo=UTC)
QUICK = (0.0, 0.0)


@dataclass
class Receiver:
    """A server on this machine; `answers` are the codes that it gives next, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    heard: list[dict[str, Any]] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    requests: int = 0

    def notified(self) -> list[tuple[str, str]]:
        return [(message["key"], message["status"]) for message in self.heard]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.requests += 1
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            code = found.answers.pop(0) if found.answers else 200
            if code == 200:
                found.heard.append(body)
                found.identities.append(self.headers["Idempotency-Key"])
            self.send_response(code)
            if code == 307:
                self.send_header("Location", found.url)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}/hook/token-3f1c"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture
def config(home: Path) -> LakehouseConfig:
    return get_config("local")


def state(hours: int = 0, **verdicts: Verdict) -> Health:
    """A health check `hours` after noon; a dataset's verdict on its freshness by name."""
    checks = [
        Check("freshness", dataset, 7200.0, 3600.0, "s", verdict, "same")
        for dataset, verdict in verdicts.items()
    ]
    return Health("local", NOON + timedelta(hours=hours), 7, tuple(checks))


def notify(health: Health, config: LakehouseConfig, receiver: Receiver) -> Notified:
    return notify_webhook(health, config, SecretStr(receiver.url), QUICK)


def test_a_failing_check_is_notified_once_and_its_recovery_once(
    config: LakehouseConfig, receiver: Receiver
) -> None:
    for hours, verdict in enumerate(("ok", "failed", "failed", "no data", "failed", "ok", "ok", "failed")):
        notify(state(hours, orders=verdict), config, receiver)  # type: ignore[arg-type]
    freshness = "freshness of orders"
    assert receiver.notified() == [(freshness, "firing"), (freshness, "resolved"), (freshness, "firing")]
    assert [message["since"] for message in receiver.heard] == [
        "2024-03-01T13:00:00+00:00",
        "2024-03-01T13:00:00+00:00",
        "2024-03-01T19:00:00+00:00",
    ]
    assert receiver.heard[0]["text"] == ("local: freshness of orders fails: 2 h, target < 1 h")
    assert len(set(receiver.identities)) == 3


def test_each_check_is_notified_separately_and_one_that_is_gone_is_resolved(
    config: LakehouseConfig, receiver: Receiver
) -> None:
    assert notify(state(orders="failed", customers="failed"), config, receiver) == Notified(2, 0)
    assert notify(state(1, orders="failed", returns="failed"), config, receiver) == Notified(2, 0)
    assert receiver.notified()[2:] == [
        ("freshness of returns", "firing"),
        ("freshness of customers", "resolved"),
    ]


def test_what_did_not_arrive_is_sent_by_the_next_check_with_the_same_identity(
    config: LakehouseConfig, receiver: Receiver
) -> None:
    receiver.answers = [503, 503, 503]
    assert notify(state(orders="failed"), config, receiver) == Notified(0, 1, "it answered 503")
    assert notify(state(5, orders="failed"), config, receiver) == Notified(1, 0)
    assert receiver.heard[0]["since"] == NOON.isoformat()
    assert receiver.requests == 4


def test_a_process_killed_after_a_message_arrived_sends_it_again_as_the_same(
    config: LakehouseConfig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    moves: list[Path] = []

    def killed(self: Path, target: Path) -> Path:
        moves.append(self)
        if len(moves) == 2:  # the first notes what is to be sent
            raise KeyboardInterrupt
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        notify(state(orders="failed"), config, receiver)
    monkeypatch.undo()
    notify(state(1, orders="failed"), config, receiver)
    assert len(receiver.identities) == 2
    assert len(set(receiver.identities)) == 1


def test_a_file_of_an_earlier_version_is_read(config: LakehouseConfig, receiver: Receiver) -> None:
    since = {"since": NOON.isoformat(), "told": True}
    write_whole(
        Path(config.volume_path) / "alerts" / "local.json", json.dumps({"freshness of orders": since})
    )
    assert notify(state(1, orders="failed"), config, receiver) == Notified(0, 0)
    assert notify(state(2, orders="ok"), config, receiver) == Notified(1, 0)
    assert receiver.notified() == [("freshness of orders", "resolved")]


def test_an_alert_that_nobody_heard_of_and_that_is_over_is_dropped(
    config: LakehouseConfig, receiver: Receiver
) -> None:
    receiver.answers = [404]
    assert notify(state(orders="failed"), config, receiver) == Notified(0, 1, "it answered 404")
    assert receiver.requests == 1  # a refusal is not tried again
    assert notify(state(1, orders="ok"), config, receiver) == Notified(0, 0)
    assert receiver.heard == []


def test_a_redirect_is_not_followed(config: LakehouseConfig, receiver: Receiver) -> None:
    """A public server could lead the message, with the figures in it, to this machine's network."""
    receiver.answers = [307]
    assert notify(state(orders="failed"), config, receiver) == Notified(
        0, 1, "it answered 307, a redirect, which is not followed"
    )
    assert receiver.requests == 1


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.1", "2130706433"])
def test_a_name_that_leads_to_this_machine_is_refused(
    config: LakehouseConfig, receiver: Receiver, host: str
) -> None:
    url = SecretStr(receiver.url.replace("127.0.0.1", host))
    answer = notify_webhook(state(orders="failed"), config, url, QUICK)
    assert "on this machine or its network; write the number to mean that" in answer.problem
    assert (answer.sent, answer.unsent, receiver.requests) == (0, 1, 0)
    assert "token-3f1c" not in answer.problem


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://127.0.0.1:9/secret-token", "it cannot be reached (ConnectionRefusedError)"),
        ("file:///etc/passwd", "its address is not an http or https URL"),
        ("http://[secret-token", "it cannot be reached (ValueError)"),
    ],
)
def test_a_webhook_that_is_down_or_wrong_harms_nothing_and_its_address_is_not_shown(
    config: LakehouseConfig, url: str, problem: str
) -> None:
    outcome = notify_webhook(state(orders="failed"), config, SecretStr(url), QUICK)
    assert outcome == Notified(0, 1, problem)


def test_the_health_command_notifies_the_webhook_that_the_environment_names(
    home: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, start = Log("shop"), datetime.now(UTC) - timedelta(hours=1)
    log.update("u1", start, 60, "FAILED")
    log.write(Storage(home))
    monkeypatch.setenv("ALERT_WEBHOOK_URL", receiver.url)
    result = CliRunner().invoke(command_line(), ["health", "--json"])
    assert (result.exit_code, result.stderr) == (1, "The webhook was notified of 1 change.\n")
    assert json.loads(result.stdout)["healthy"] is False
    with pytest.raises(SystemExit):  # the daily job's entry point, on the same state
        health_command.main(["--environment", "local"])
    health_command.main(["--environment", "local", "--report"])
    assert receiver.notified() == [("success rate", "firing")]
    assert "token-3f1c" not in result.output + "".join(capsys.readouterr())
