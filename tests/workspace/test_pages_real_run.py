"""A real run of a deployed job, followed in a real browser to its end."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.workspace.run_lab import TOKEN, serving
from tests.workspace.test_pages_browser import browser  # noqa: F401
from tests.workspace.test_pipeline_updates import ORDERS, _pipeline


def test_a_job_with_a_pipeline_is_followed_to_its_failure(tmp_path: Path, browser: Browser) -> None:  # noqa: F811
    with serving(tmp_path) as lab:
        lab.file("orders/tables.py", ORDERS)
        pipeline = {"pipeline_task": {"pipeline_id": _pipeline(lab, "orders")}}
        report = lab.script("report", "raise ValueError('no rate')\n", max_retries=1)
        job = lab.job(
            lab.script("load", "print('loading <b>')\n"),
            {"task_key": "tables", "depends_on": [{"task_key": "load"}], **pipeline},
            {**report, "depends_on": [{"task_key": "tables"}]},
        )
        page = browser.new_page()
        page.goto(f"{lab.url}/login#token={TOKEN}")
        page.wait_for_url(f"{lab.url}/")
        page.goto(lab.run(lab.start(job))["run_page_url"])
        expect(page).to_have_title(re.compile("^Failed: nightly prices"), timeout=180_000)
        expect(page.locator("#announcement")).to_contain_text("3 of 3 tasks done, 1 failure: report")
        expect(page.locator("#task-report")).to_contain_text("ValueError: no rate")
        expect(page.locator("#task-load")).to_contain_text("loading <b>")
        # Prices are -2 .. 7: seven are above 0.
        expect(page.locator("#task-tables .graph")).to_contain_text("7 rows")
        expect(page.locator("#task-tables .graph")).to_contain_text("3 failed")
        page.close()
