"""The pages for a client without scripts: access, contents and escaping."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pyarrow as pa
import pytest

from workspace.pages_site import (
    JOB,
    PIPELINE,
    RUN,
    SCRIPT,
    START,
    TOKEN,
    Site,
    progress,
    put_event,
    put_flow,
    put_job,
    put_output,
    put_quarantine,
    put_run,
    put_table,
    put_update,
    serve,
    task,
)

ORDERS, SALES = "main.shop.silver_orders", "main.shop.gold_sales"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One job with a failed run, one pipeline with an update, a table and a quarantine."""
    with serve(tmp_path_factory.mktemp("pages")) as site:
        schedule = {"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "UTC"}
        put_job(site, name=SCRIPT, schedule=schedule, tasks=[{"task_key": "load"}])
        put_run(
            site,
            "FAILED",
            [
                task("load", "FAILED", 101, spark_python_task={"python_file": "load.py"}),
                task("load", "SUCCESS", 102, attempt_number=1, spark_python_task={"python_file": "load.py"}),
                task("report", "FAILED", 103, "load", notebook_task={"notebook_path": "/report"}),
            ],
            job_parameters=[{"name": "day", "default": "today", "value": "2024-02-29"}],
        )
        put_output(
            site, 101, logs="first try\n", error="ValueError: no file", error_trace="Traceback of load"
        )
        put_output(site, 102, logs=f"{SCRIPT}\nread 3 files\n")
        put_output(site, 103, "report", logs="x" * 70_000 + "END")
        put_update(site, state="FAILED")
        put_flow(site, 1, ORDERS, "main.other.bronze_orders")
        put_flow(site, 3, SALES, ORDERS)
        put_event(site, 5, "flow_progress", progress("RUNNING", 1000, valid_id=(990, 10)), dataset=ORDERS)
        put_event(site, 6, "flow_progress", progress("RUNNING", 204, valid_id=(204, 0)), dataset=ORDERS)
        put_event(site, 7, "flow_progress", progress("COMPLETED"), dataset=ORDERS)
        failure = {
            "fatal": True,
            "exceptions": [{"class_name": "E", "message": f"deep {SCRIPT}", "stack": []}],
        }
        put_event(
            site,
            8,
            "flow_progress",
            progress("FAILED"),
            dataset=SALES,
            level="ERROR",
            message="division by zero",
            error=failure,
        )
        rows = pa.table({"id": [1, 2], "note": [SCRIPT, None], "raw": [b"caf\xc3\xa9", b"\xff"]})
        put_table(site, "silver_orders", rows, description=f"Orders {SCRIPT}")
        put_quarantine(site, 30)
        yield site


@pytest.fixture(scope="module")
def reader(site: Site) -> Iterator[httpx.Client]:
    with site.reader() as client:
        yield client


PAGES = (
    "/",
    "/jobs/runs",
    f"/jobs/{JOB}",
    f"/jobs/{JOB}/runs/{RUN}",
    f"/pipelines/{PIPELINE}",
    f"/pipelines/{PIPELINE}/updates/u-1",
    "/tables",
    "/tables/main/shop/silver_orders",
    "/quarantine",
)


def text_of(answer: httpx.Response) -> str:
    """The page's text without markup, in one line."""
    body = answer.text[answer.text.index("<main") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


# Who may see them -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_a_visitor_is_redirected_to_the_login_and_back_to_the_page(site: Site, page: str) -> None:
    with site.visitor() as visitor:
        refused = visitor.get(page)
        assert (refused.status_code, refused.text) == (303, "")
        form = visitor.get(refused.headers["location"])
        (back,) = re.findall(r'name="next" id="next" value="([^"]*)"', form.text)
        assert back == page
        admitted = visitor.post("/login", data={"token": TOKEN, "next": back})
        assert (admitted.status_code, admitted.headers["location"]) == (303, page)
        assert visitor.get(page).status_code == 200


def test_a_wrong_token_opens_nothing(site: Site) -> None:
    with site.visitor() as visitor:
        answer = visitor.post("/login", data={"token": "wrong"})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers
        assert visitor.get("/").status_code == 303


def test_a_token_in_the_address_which_logs_and_histories_keep_does_not_sign_in(site: Site) -> None:
    with site.visitor() as visitor:
        answer = visitor.get(f"/login?token={TOKEN}&next=/tables")
        assert (answer.status_code, answer.headers.get("set-cookie")) == (200, None)
        assert TOKEN not in answer.text
        assert visitor.get("/tables").status_code == 303


def test_the_cookie_is_not_the_token_and_no_script_or_foreign_site_can_use_it(site: Site) -> None:
    with site.visitor() as visitor:
        cookie = visitor.post("/login", data={"token": TOKEN}).headers["set-cookie"]
    assert TOKEN not in cookie
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}


def test_the_cookie_does_not_open_the_api(site: Site, reader: httpx.Client) -> None:
    answer = reader.get("/api/2.0/preview/scim/v2/Me")
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    "target",
    [
        "https://example.com/",
        "//example.com/",
        "/\\example.com/",
        "\\\\example.com",
        "/tables\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/api/2.0/token/list",
        "tables",
        "",
    ],
)
def test_the_login_redirects_only_to_pages(site: Site, target: str) -> None:
    with site.visitor() as visitor:
        answer = visitor.post("/login", data={"token": TOKEN, "next": target})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("page", [*PAGES, "/login", "/jobs/77", "/jobs/x", "/static/style.css", "/static/x"])
def test_every_answer_has_the_security_headers(reader: httpx.Client, page: str) -> None:
    headers = reader.get(page).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


@pytest.mark.parametrize("page", PAGES)
def test_a_page_loads_nothing_from_elsewhere_and_has_no_inline_script_or_style(
    reader: httpx.Client, page: str
) -> None:
    text = reader.get(page).text
    assert re.findall(r'(?:src|href|action)="(?:https?:)?//[^"]*"', text) == []
    assert re.findall(r"<script(?! src=)|<style|\sstyle=|\son\w+=", text) == []


def test_a_token_in_a_page_would_be_a_leak(reader: httpx.Client) -> None:
    assert all(TOKEN not in reader.get(page).text for page in PAGES)


# What is not there ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "status"),
    [
        ("/jobs/77", 404),
        ("/jobs/77/runs/1", 404),
        ("/jobs/runs/77", 404),
        (f"/jobs/{JOB}/runs/{RUN}/log/999", 404),
        ("/jobs/abc", 400),
        (f"/jobs/{JOB}?page=0", 400),
        ("/pipelines/none", 404),
        (f"/pipelines/{PIPELINE}/updates/none", 404),
        ("/tables/main/shop/none", 404),
        ("/tables/main/shop/..%2F..%2F..%2Fworkspace", 404),
        ("/tables/..%2F/shop/x", 404),
        ("/quarantine?table=main.shop.silver_orders", 404),
        ("/quarantine?rule=none", 404),
        ("/tables/too/many/parts/here", 404),
        ("/static/..%2Fsession.py", 404),
    ],
)
def test_a_missing_object_is_an_error_page(reader: httpx.Client, page: str, status: int) -> None:
    answer = reader.get(page, follow_redirects=True)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>" in answer.text


# What they say --------------------------------------------------------------------------------------------


def test_the_overview_lists_jobs_pipelines_and_runs(reader: httpx.Client) -> None:
    text = text_of(reader.get("/"))
    assert "0 0 3 * * ? UTC" in text
    assert re.search(r"\d{4}-\d\d-\d\d 03:00:00 UTC", reader.get("/").text)  # the next run
    assert "refinery" in text
    assert "2 tables in this lakehouse" in text


def test_a_run_shows_states_attempts_parameters_logs_and_traces(reader: httpx.Client) -> None:
    text = text_of(reader.get(f"/jobs/{JOB}/runs/{RUN}"))
    assert "Failed 2 of 2 tasks done, 1 failure: report" in text
    assert "1 min 23 s" in text
    assert "day 2024-02-29 this run" in text
    # The last attempt is the task's state, the first one's trace is still there.
    assert re.search(r"load Python file Succeeded 2 ", text)
    assert text.index("Attempt 2") < text.index("read 3 files") < text.index("Attempt 1")
    assert "ValueError: no file" in text
    assert "Traceback of load" in text


def test_a_time_is_shown_with_utc_beside_it(reader: httpx.Client) -> None:
    page = reader.get(f"/jobs/{JOB}/runs/{RUN}").text
    assert START == 1_700_000_000_000
    assert 'datetime="2023-11-14T22:13:20.000+00:00" title="2023-11-14 22:13:20 UTC"' in page


def test_the_page_has_the_end_of_a_long_log_and_a_link_to_all_of_it(reader: httpx.Client) -> None:
    page = reader.get(f"/jobs/{JOB}/runs/{RUN}").text
    assert "x" * 63_997 + "END" in page
    assert "x" * 63_998 not in page
    whole = reader.get(f"/jobs/{JOB}/runs/{RUN}/log/103")
    assert whole.text == "x" * 70_000 + "END"
    assert whole.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize(
    ("other", "address"),
    [
        (f"/jobs/runs/{RUN}", f"/jobs/{JOB}/runs/{RUN}"),
        (f"/jobs/99/runs/{RUN}", f"/jobs/{JOB}/runs/{RUN}"),
        ("/jobs/runs/103", f"/jobs/{JOB}/runs/{RUN}#task-report"),
        (f"/jobs/{JOB}/runs/103", f"/jobs/{JOB}/runs/{RUN}#task-report"),
        ("/explore/data/main/shop/silver_orders", "/tables/main/shop/silver_orders"),
        ("/explore/data/main/shop", "/tables"),
        ("/jobs", "/#jobs"),
    ],
)
def test_other_addresses_redirect_to_the_page(reader: httpx.Client, other: str, address: str) -> None:
    answer = reader.get(other)
    assert (answer.status_code, answer.headers["location"]) == (303, address)


def test_an_update_sums_the_counts_of_its_events(reader: httpx.Client) -> None:
    text = text_of(reader.get(f"/pipelines/{PIPELINE}/updates/u-1"))
    assert re.search(r"silver_orders streaming table Completed 1,204 0 2.0 s bronze_orders", text)
    assert re.search(r"silver_orders valid_id \S 1,194 10 0.8 % failed", text)
    assert "division by zero" in text
    # The table of another pipeline is in the graph, as something that is only read.
    assert "main.other.bronze_orders, read only" in text


def test_the_result_of_an_update_replaces_the_counts_of_events(site: Site, reader: httpx.Client) -> None:
    put_flow(site, 1, ORDERS, update_id="u-2")
    put_event(site, 3, "flow_progress", progress("RUNNING", 5), dataset=ORDERS, update_id="u-2")
    expectation = {"name": "valid_id", "action": "DROP", "passed": 7, "failed": 1}
    dataset = {
        "name": ORDERS,
        "kind": "streaming table",
        "status": "COMPLETED",
        "rows_written": 7,
        "rows_dropped": 1,
        "seconds": 4.0,
        "expectations": [expectation],
        "note": "",
    }
    put_update(site, "u-2", "COMPLETED", result={"seconds": 61.2, "datasets": [dataset]})
    text = text_of(reader.get(f"/pipelines/{PIPELINE}/updates/u-2"))
    assert "1 min 01 s" in text
    assert "silver_orders streaming table Completed 7 1 4.0 s" in text
    assert "valid_id Drop the row 7 1 12.5 % failed" in text


def test_events_are_paged_and_filtered_by_level(site: Site, reader: httpx.Client) -> None:
    put_update(site, "u-3", "COMPLETED")
    for number in range(120):
        level = "WARN" if number % 40 == 0 else "INFO"
        put_event(
            site, number, "update_progress", {}, update_id="u-3", level=level, message=f"happened {number}."
        )
    address = f"/pipelines/{PIPELINE}/updates/u-3"

    def happened(query: str) -> list[int]:
        return [int(n) for n in re.findall(r"happened (\d+)\.", reader.get(address + query).text)]

    assert happened("") == list(range(119, 69, -1))
    assert happened("?page=3") == list(range(19, -1, -1))
    assert happened("?level=WARN") == [80, 40, 0]
    assert happened("?level=ERROR") == []
    assert "?level=INFO&amp;page=2#events" in reader.get(f"{address}?level=INFO").text


def test_a_flow_that_never_ended_is_shown_as_stopped_once_its_update_is_over(
    site: Site, reader: httpx.Client
) -> None:
    put_flow(site, 1, ORDERS, update_id="u-4")
    put_event(site, 3, "flow_progress", progress("RUNNING", 5), dataset=ORDERS, update_id="u-4")
    put_update(site, "u-4", "RUNNING")
    assert "silver_orders streaming table Running" in text_of(
        reader.get(f"/pipelines/{PIPELINE}/updates/u-4")
    )
    put_update(site, "u-4", "FAILED")
    assert "silver_orders streaming table Stopped" in text_of(
        reader.get(f"/pipelines/{PIPELINE}/updates/u-4")
    )


def test_a_pipeline_task_shows_the_update_that_it_started(site: Site, reader: httpx.Client) -> None:
    put_flow(site, 1, ORDERS, update_id="u-5")
    put_update(site, "u-5", "RUNNING", task_run_id=202)
    pipeline = {"pipeline_task": {"pipeline_id": PIPELINE}}
    put_run(site, "RUNNING", [task("tables", "RUNNING", 202, **pipeline)], run_id=200)
    page = reader.get(f"/jobs/{JOB}/runs/200").text
    assert f'href="/pipelines/{PIPELINE}/updates/u-5"' in page
    assert 'href="#task-tables-main.shop.silver_orders"' in page
    assert 'id="task-tables-main.shop.silver_orders"' in page


def test_a_run_job_task_links_the_run_it_started(site: Site, reader: httpx.Client) -> None:
    put_run(site, "SUCCESS", [], run_id=301, job_id=12)
    nested = task("other", "SUCCESS", 302, run_job_task={"job_id": 12, "run_id": 301})
    put_run(site, "SUCCESS", [nested], run_id=300)
    assert 'href="/jobs/12/runs/301"' in reader.get(f"/jobs/{JOB}/runs/300").text


def test_a_table_shows_comment_columns_history_and_rows(reader: httpx.Client) -> None:
    text = text_of(reader.get("/tables/main/shop/silver_orders"))
    assert "Rows 1 to 2 of 2" in text
    assert "id bigint" in text
    assert "raw binary" in text
    assert "café" in text
    assert "NULL" in text
    assert "Create table" in text or "Write" in text


def test_quarantine_counts_rows_per_rule_and_shows_the_newest_first(reader: httpx.Client) -> None:
    page = reader.get("/quarantine")
    text = text_of(page)
    assert "30 lines broke a rule" in text
    assert re.search(r"valid_id 30 100 %", text)
    assert re.search(r"it&#39;s_json 10 33 %", text)
    numbers = [int(n) for n in re.findall(r"part_(\d+)\.json", page.text)]
    assert numbers == list(range(29, 4, -1))
    second = reader.get("/quarantine?page=2")
    assert [int(n) for n in re.findall(r"part_(\d+)\.json", second.text)] == list(range(4, -1, -1))


def test_quarantine_can_be_narrowed_to_one_rule(reader: httpx.Client) -> None:
    page = reader.get("/quarantine", params={"table": "main.shop.quarantine_orders", "rule": "it's_json"})
    assert [int(n) for n in re.findall(r"part_(\d+)\.json", page.text)] == list(range(27, -1, -3))


# What they escape, and how they are followed --------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_data_never_becomes_markup(reader: httpx.Client, page: str) -> None:
    assert SCRIPT not in reader.get(page).text


def test_the_texts_in_question_do_appear(reader: httpx.Client) -> None:
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;"
    silent = {"/jobs/runs", f"/jobs/{JOB}/runs", f"/pipelines/{PIPELINE}"}
    missing = [page for page in PAGES if page not in silent and escaped not in reader.get(page).text]
    assert missing == []


def test_an_unchanged_page_is_not_sent_again(reader: httpx.Client) -> None:
    first = reader.get(f"/jobs/{JOB}/runs/{RUN}")
    assert first.headers["cache-control"] == "no-store"
    again = reader.get(f"/jobs/{JOB}/runs/{RUN}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_refreshing_page_learns_that_its_session_has_ended(site: Site) -> None:
    with site.visitor() as visitor:
        assert visitor.get("/", headers={"If-None-Match": '"none"'}).status_code == 401


@pytest.mark.parametrize(("state", "follows"), [("RUNNING", True), ("SUCCESS", False)])
def test_without_scripts_a_running_page_reloads_itself(
    site: Site, reader: httpx.Client, state: str, follows: bool
) -> None:
    put_run(site, state, [task("load", state, 401)], run_id=400)
    page = reader.get(f"/jobs/{JOB}/runs/400").text
    assert ('<noscript><meta http-equiv="refresh"' in page) is follows


def test_an_empty_workspace_says_what_to_do(tmp_path: Path) -> None:
    with serve(tmp_path) as empty, empty.reader() as client:
        assert "databricks bundle deploy" in client.get("/").text
        for page in ("/tables", "/quarantine"):
            assert "first update creates them" in client.get(page).text
