"""`lakehouse activate` on a lakehouse with people and consents, against a real server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from filelock import FileLock
from pyspark.sql import SparkSession

from ecommerce_lakehouse.activation.sync import job
from ecommerce_lakehouse.activation.sync.tables import RUNS, SCHEMAS
from lakerun.bundles.load import load_bundle
from lakerun.sql.query import query
from lakerun.tables.storage import Storage
from tests.customerio_server import KEY
from tests.dashboards import read_dashboard
from tests.integration.sync_lab import Lab, lab
from tests.unit.command_line import lakehouse

ROOT = Path(__file__).parents[2]
DASHBOARD = read_dashboard(ROOT / "src" / "dashboards" / "activation.lvdash.json")
CUSTOMERS = (
    "customer_id string, email string, country string, signup_date date, loyalty_tier string, "
    "loyalty_points int"
)


@pytest.fixture
def shop(spark: SparkSession, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    with lab(spark, home) as opened:
        monkeypatch.setenv("CUSTOMERIO_KEY", KEY)
        monkeypatch.setenv("CUSTOMERIO_BASE_URL", opened.server.url)
        opened.table(
            "silver_customers",
            [
                ("c1", "ann@example.com", "DE", date(2024, 1, 2), "gold", 7),
                ("c2", "bob@example.com", "FR", None, None, None),
            ],
            CUSTOMERS,
        )
        consents = [("c1", "email"), ("c2", "push")]
        opened.table("gold_marketing_consents", consents, "customer_id string, channel string")
        yield opened


def test_a_plan_is_shown_saved_and_sent_once(shop: Lab, tmp_path: Path) -> None:
    saved = tmp_path / "plan.json"
    shown = lakehouse("activate", "plan", "customers", "--out", str(saved))
    assert shown.exit_code == 0
    assert '"email": "a***"' in shown.output
    assert "ann@example.com" not in shown.output + saved.read_text()
    assert shop.sent() == []
    with FileLock(shop.home / "activation.lock"):
        refused = lakehouse("activate", "run", "customers")
        assert (refused.exit_code, "Another activation is running" in refused.output) == (3, True)
    plan = json.loads(saved.read_text())
    gone = tmp_path / "gone.json"
    gone.write_text(json.dumps(plan | {"syncs": [*plan["syncs"], plan["syncs"][0] | {"sync": "clients"}]}))
    for arguments, reason in (
        (("--plan", str(gone)), "the plan is also of clients, and there is no such sync any more"),
        (
            ("push_devices", "--plan", str(gone)),
            "the plan has no sync 'push_devices'; it has clients, customers.",
        ),
    ):
        refused = lakehouse("activate", "run", *arguments)
        assert (refused.exit_code, reason in refused.output) == (1, True)
    assert shop.sent() == []
    done = lakehouse("activate", "run", "customers", "--plan", str(gone))
    assert (done.exit_code, done.stdout) == (0, "customers: 1 inserted, 0 updated, 0 deleted, 0 unchanged\n")
    (ann,) = shop.sent()
    assert (ann["userId"], ann["traits"]) == (
        "c1",
        {
            "email": "ann@example.com",
            "country": "DE",
            "signup_date": "2024-01-02",
            "loyalty_tier": "gold",
            "loyalty_points": 7,
        },
    )
    again = lakehouse("activate", "run", "customers", "--plan", str(saved))
    assert (again.exit_code, "something was sent since the plan was made" in again.output) == (1, True)
    (status,) = json.loads(lakehouse("activate", "status", "customers", "--json").stdout)
    assert (status["delivered"], status["rejected"], status["last_run"]["event"]) == (1, 0, "COMPLETED")
    assert "completed" in lakehouse("activate", "status").stdout
    job.main(["--environment=local", "--create-tables"])  # nobody was rejected
    assert figures("sending_totals") == [
        {"accepted": 1, "rejected": 0, "still_due": 0, "people_identified": 1, "events_tracked": 0}
    ]
    ((requests, succeeded, *_),) = (row.values() for row in figures("request_totals"))
    assert (requests, succeeded) == (1, 100.0)


def test_the_job_first_creates_what_dashboards_and_alerts_read(
    shop: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.table(RUNS, [("r1",)], "run_id string")  # of an earlier version
    job.main(["--environment=local", "--create-tables"])
    printed = capsys.readouterr().out
    assert all(table in printed for table in SCHEMAS)
    for table, columns in SCHEMAS.items():
        (row,) = shop.sql("DESCRIBE DETAIL {t}", t=table).collect()
        assert row["partitionColumns"] == (["sync"] if table == "activation_state" else [])
        assert set(shop.sql("SELECT * FROM {t}", t=table).columns) == {
            column.split(" ")[0] for column in columns.split(", ")
        }
    assert [row.run_id for row in shop.sql("SELECT * FROM {t}", t=RUNS).collect()] == ["r1"]
    assert all(figures(each.name) is not None for each in DASHBOARD.datasets)
    bundle = load_bundle(ROOT, "dev", {"catalog": "local", "schema": "data_eng"})
    for key in ("activation_success", "activation_due"):
        assert shop.spark.sql(bundle.resources["alerts"][key]["query_text"]).collect() == []
    job.main(["--environment=local", "--create-tables"])
    assert capsys.readouterr().out == "Created: nothing, all tables are there.\n"


def figures(dataset: str) -> list[dict[str, object]]:
    """The rows of one of the dashboard's datasets."""
    (text,) = [each.sql for each in DASHBOARD.datasets if each.name == dataset]
    found: list[dict[str, object]] = query(text, Storage.default()).to_pylist()
    return found


def test_a_sync_that_cannot_be_sent_stops_no_other_and_is_in_the_run_log(shop: Lab) -> None:
    done = lakehouse("activate", "run", "push_devices", "customers")
    assert done.exit_code == 2  # as for a wrong declaration
    assert "customers: 1 inserted" in done.stdout
    assert "there is no table local.data_eng.silver_push_devices yet" in done.stderr
    assert [message["userId"] for message in shop.sent()] == ["c1"]
    devices, people = json.loads(
        lakehouse("activate", "status", "push_devices", "customers", "--json").stdout
    )
    if devices["sync"] == "customers":
        devices, people = people, devices
    assert (devices["last_run"]["event"], people["last_run"]["event"]) == ("FAILED", "COMPLETED")
    assert "there is no table" in devices["last_run"]["error"]


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (("run", "custmers"), {}, "Unknown sync 'custmers'. Did you mean 'customers'?"),
        (("run", "customers"), {"CUSTOMERIO_KEY": ""}, "There is no key of Customer.io: set CUSTOMERIO_KEY."),
        (
            ("run", "customers"),
            {"CUSTOMERIO_REGION": "eu"},
            "the key belongs to the region us, and eu is configured",
        ),
        (("run", "push_devices"), {}, "there is no table local.data_eng.silver_push_devices yet"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    shop: Lab,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    variables: dict[str, str],
    message: str,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = lakehouse("activate", *arguments)
    assert (found.exit_code, message in found.output, len(found.output.splitlines())) == (2, True, 1)
    assert KEY not in found.output
    assert shop.sent() == []
