"""A secret that a task or a pipeline has read is in no output, error, log or event."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun import redaction
from lakerun.cli.quiet import output_to
from lakerun.pipelines.event_log import EventLog, error_of
from lakerun.pipelines.state import State
from lakerun.redaction import redacted, remember_secret
from lakerun.tables.delta_table import Table
from unit.job_lab import JobLab

PASSWORD = "pa55-of-the-shop"


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_known", set())


def test_a_run_on_the_laptop_shows_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", PASSWORD)
    lab, shown = JobLab(tmp_path), []
    lab.task_runner.on_output = lambda call, line: shown.append(line)
    script = lab.script(
        "connect",
        """
        import logging
        from databricks.sdk.runtime import dbutils
        password = dbutils.secrets.get("shop", "password")
        print("with", password, end="")
        logging.getLogger("driver").warning("trying %s", password)
        raise ValueError(f"refused: {password}")
        """,
    )
    log = tmp_path / "run.log"
    with output_to(log):
        result = lab.run(lab.job(script))
    (ended,) = result.tasks
    assert ended.error == "ValueError: refused: [REDACTED]"
    assert lab.logs("connect").startswith("with [REDACTED]")
    assert shown[0].startswith("with [REDACTED]")
    kept = log.read_text()
    assert "refused: [REDACTED]" in kept
    assert PASSWORD not in kept + str(result) + str(lab.updates) + "".join(shown)


def test_an_event_holds_no_secret(tmp_path: Path) -> None:
    remember_secret(PASSWORD)
    state, heard = State(tmp_path / "state.db"), []
    log = EventLog(state, tmp_path / "log", {"update_id": "u1"}, heard.append)
    failure = error_of(ConnectionError(f"jdbc:postgresql://shop:{PASSWORD}@db.example.com"))
    log.emit("flow_progress", f"no {PASSWORD}", {"url": [f"x{PASSWORD}x"]}, level="ERROR", error=failure)
    log.publish()
    (row,) = Table(tmp_path / "log").read().to_pylist()
    assert (row["message"], row["details"]) == ("no [REDACTED]", '{"url": ["x[REDACTED]x"]}')
    assert row["error"]["exceptions"][0]["message"] == "jdbc:postgresql://shop:[REDACTED]@db.example.com"
    assert PASSWORD not in str(heard)


def test_each_line_of_a_key_file_is_a_secret_but_not_its_short_ones() -> None:
    remember_secret("-----BEGIN KEY-----\nMIIEvQIBADANBg\nkq\n-----END KEY-----\n")
    assert redacted("found MIIEvQIBADANBg and kq") == "found [REDACTED] and kq"


def test_the_longest_secret_is_replaced_first() -> None:
    remember_secret("token")
    remember_secret("token-and-more")
    assert redacted({"a": ("token-and-more", 1)}) == {"a": ("[REDACTED]", 1)}


def test_a_blank_secret_changes_nothing() -> None:
    remember_secret("")
    remember_secret(" ")
    assert redacted("a b") == "a b"
