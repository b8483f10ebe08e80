"""The pages in a real Chromium: sign-in, following a run, escaping, small screens, keyboard, contrast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from workspace.pages_site import (
    JOB,
    PIPELINE,
    RUN,
    SCRIPT,
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

from lakerun.plugins import loaded_plugins
from tests.unit.dashboard_data import write_logs

pytestmark = pytest.mark.long
ARTIFACTS = Path(__file__).parents[2] / "test-artifacts" / "pages"
NARROW = 320
LONG = "a_name_without_any_place_to_break_" * 3
IMAGE = "<img src=x onerror=alert(1)>"
RUN_PAGE = f"/jobs/{JOB}/runs/{RUN}"
UPDATE_PAGE = f"/pipelines/{PIPELINE}/updates/u-1"
PAGES = {
    "overview": "/",
    "runs": "/jobs/runs",
    "job": f"/jobs/{JOB}",
    "run": RUN_PAGE,
    "pipeline": f"/pipelines/{PIPELINE}",
    "update": UPDATE_PAGE,
    "tables": "/tables",
    "table": "/tables/main/shop/silver_orders",
    "quarantine": "/quarantine",
    "health": "/monitoring",
}
# Text and its ground, of everything that is visible, with the ratio of WCAG 2.1 (1.4.3).
CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    const rect = element.closest(".box") && element.closest(".box").querySelector("rect");
    if (rect) return parse(getComputedStyle(rect).fill);
    for (let each = element; each; each = each.parentElement) {
      const colour = parse(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.getClientRects().length || element.closest("title, .unseen, .skip")) continue;
    const style = getComputedStyle(element);
    const text = parse(element.namespaceURI.endsWith("svg") ? style.fill : style.color);
    const [high, low] = [light(text), light(ground(element))].sort((a, b) => b - a);
    found.push([element.textContent.trim().slice(0, 40), (high + 0.05) / (low + 0.05)]);
  }
  return found;
}"""
# Things that a user of a screen reader or a keyboard would miss.
UNNAMED = """() => {
  const name = (e) => e.getAttribute("aria-label") || e.textContent.trim() || e.title
    || (e.labels && e.labels.length && e.labels[0].textContent);
  const labelled = (e) => name(e) || document.getElementById(e.getAttribute("aria-labelledby"));
  const said = (e) => e.closest("[aria-hidden=true]") || labelled(e);
  return [
    ...[...document.querySelectorAll("a, button, input:not([type=hidden]), [role], svg, img, meter, nav")]
      .filter((e) => !said(e) && e.getAttribute("role") !== "status"),
    ...[...document.querySelectorAll("table")].filter((e) => !e.caption),
    ...[...document.querySelectorAll("th")].filter((e) => !e.scope),
    ...[...document.querySelectorAll("[aria-labelledby]")]
      .filter((e) => !document.getElementById(e.getAttribute("aria-labelledby"))),
  ].map((e) => e.outerHTML.slice(0, 120));
}"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("pages"), loaded_plugins()) as site:
        schedule = {"quartz_cron_expression": "0 0 3 * * ?", "timezone_id": "Europe/Berlin"}
        put_job(
            site,
            name="nightly",
            description=f"Loads {IMAGE} {LONG}",
            schedule=schedule,
            tasks=[{"task_key": "load"}],
        )
        put_job(site, 12, SCRIPT)
        put_run(
            site,
            "FAILED",
            [
                task("load", "SUCCESS", 101, spark_python_task={"python_file": "load.py"}),
                task(
                    "check",
                    "SUCCESS",
                    102,
                    "load",
                    condition_task={"op": "EQUAL_TO", "left": "1", "right": "2"},
                ),
                task(LONG, "FAILED", 103, "load", notebook_task={"notebook_path": f"/{LONG}"}),
                task("report", "BLOCKED", 104, "check", LONG),
            ],
            job_parameters=[{"name": "day", "default": SCRIPT, "value": IMAGE}],
        )
        put_output(site, 101, logs=f"{SCRIPT}\n{IMAGE}\n")
        put_output(site, 103, LONG, error=f"ValueError: {IMAGE}", error_trace=f"Traceback\n  {SCRIPT}")
        put_update(site, state="COMPLETED")
        layers = ("bronze", "silver", "gold")
        for n in range(30):
            name = f"main.shop.{layers[n // 10]}_table_{n}"
            reads = [
                f"main.shop.{layers[n // 10 - 1]}_table_{n - 10 + k}"
                for k in (0, 2)
                if n >= 10 and n % 10 + k < 10
            ]
            put_flow(site, 2 * n, name, *reads)
            put_event(
                site,
                100 + n,
                "flow_progress",
                progress("COMPLETED", 1000 + n, valid=(990, 10 * (n % 3))),
                dataset=name,
            )
        failure = {"fatal": True, "exceptions": [{"class_name": IMAGE, "message": SCRIPT * 9, "stack": []}]}
        put_event(site, 150, "update_progress", {}, level="ERROR", message=f"{IMAGE} {LONG}", error=failure)
        put_event(site, 151, "update_progress", {}, level="WARN")
        rows = pa.table({"id": [1, 2], "note": [SCRIPT, IMAGE], LONG: [LONG * 9, None]})
        put_table(site, "silver_orders", rows, description=f"Orders {IMAGE}")
        put_quarantine(site, 30)
        write_logs(site.services.storage)
        yield site


class Visit:
    """A signed-in page that records everything that must not happen in it."""

    def __init__(self, site: Site, context: BrowserContext) -> None:
        self.page = context.new_page()
        self.problems: list[str] = []
        self.site = site
        self.page.on("dialog", self._dialog)
        self.page.on("pageerror", lambda error: self.problems.append(f"error {error}"))
        self.page.on("console", self._console)
        self.page.on("request", self._request)
        self.page.goto(site.login)
        self.page.wait_for_url(f"{site.url}/")

    def goto(self, path: str) -> Page:
        self.page.goto(self.site.url + path)
        return self.page

    def _dialog(self, dialog: Any) -> None:
        self.problems.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):  # a breach of the content security policy is an error
            self.problems.append(f"console {message.text}")

    def _request(self, request: Any) -> None:
        if not request.url.startswith(self.site.url):
            self.problems.append(f"request {request.url}")


@pytest.fixture
def visit(site: Site, browser: Browser) -> Iterator[Visit]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, timezone_id="Asia/Tokyo")
    visit = Visit(site, context)
    yield visit
    context.close()
    assert visit.problems == []


# Sign-in --------------------------------------------------------------------------------------------------


def test_the_printed_link_signs_in_and_leaves_no_token_behind(site: Site, visit: Visit) -> None:
    expect(visit.page.get_by_role("heading", level=1)).to_have_text("Overview")
    assert visit.page.evaluate("document.cookie") == ""  # no script can read the session
    visit.page.go_back()
    assert "token" not in visit.page.url


def test_a_person_signs_in_by_hand_and_out_again(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(site.url + RUN_PAGE)
    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").first).to_have_text("That is not the token of this workspace.")
    page.get_by_label("Token").fill(site.services.settings.token)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(site.url + RUN_PAGE)
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{site.url}/login")
    page.goto(site.url + "/tables")
    assert page.url.startswith(f"{site.url}/login?next=")
    context.close()


@pytest.mark.parametrize(
    ("printed", "page"),
    [
        (f"/#joblist/pipelines/{PIPELINE}/updates/u-1", UPDATE_PAGE),
        (f"/#joblist/pipelines/{PIPELINE}", f"/pipelines/{PIPELINE}"),
        (f"/?o=0#job/{JOB}/run/{RUN}", RUN_PAGE),
        (f"/#job/{JOB}", f"/jobs/{JOB}"),
        (f"/jobs/{JOB}/runs/{RUN}?o=0", f"{RUN_PAGE}?o=0"),
    ],
)
def test_addresses_that_the_cli_prints_lead_to_the_page(
    site: Site, visit: Visit, printed: str, page: str
) -> None:
    visit.page.goto("about:blank")
    visit.goto(printed)
    visit.page.wait_for_url(site.url + page)


def test_a_printed_address_survives_the_login(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/#joblist/pipelines/{PIPELINE}/updates/u-1")
    page.get_by_label("Token").fill(site.services.settings.token)
    page.keyboard.press("Enter")
    page.wait_for_url(site.url + UPDATE_PAGE)
    context.close()


# Following a run ------------------------------------------------------------------------------------------


def put_live(site: Site, load: str, report: str, run: str = "RUNNING") -> None:
    wheel = {"python_wheel_task": {"package_name": "shop", "entry_point": "main"}}
    tasks = [task("load", load, 501, **wheel), task("report", report, 502, "load", **wheel)]
    put_run(site, run, tasks, run_id=500)


def test_a_run_is_followed_live_until_it_is_over(site: Site, visit: Visit) -> None:
    put_live(site, "RUNNING", "BLOCKED")
    put_output(site, 501, logs="reading\n")
    page = visit.goto(f"/jobs/{JOB}/runs/500")
    expect(page).to_have_title(re.compile("Running: nightly"))
    boxes = page.locator("#task-graph a.box")
    expect(boxes.nth(0)).to_contain_text("Running")
    expect(boxes.nth(1)).to_contain_text("Blocked")
    expect(page.locator("#log-501")).to_have_text("reading\n", use_inner_text=False)
    page.screenshot(path=ARTIFACTS / "live-1-running.png", full_page=True)

    # What the reader has unfolded, focused and scrolled to stays while the page changes around it.
    page.locator("#task-report summary").click()
    page.locator("#task-list").focus()
    page.set_viewport_size({"width": 700, "height": 300})
    page.evaluate("scrollTo(0, 200)")
    page.evaluate("document.querySelector('#task-list').scrollLeft = 40")
    put_output(site, 501, logs="reading\nread 3 files\n")
    put_live(site, "SUCCESS", "RUNNING")
    expect(boxes.nth(0)).to_contain_text("Succeeded")
    expect(boxes.nth(1)).to_contain_text("Running")
    expect(page.locator("#log-501")).to_contain_text("read 3 files")
    expect(page.locator("#announcement")).to_have_text("nightly: Running. 1 of 2 tasks done.")
    assert page.locator("#task-report").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.id") == "task-list"
    assert page.evaluate("[scrollY, document.querySelector('#task-list').scrollLeft]") == [200, 40]

    put_live(site, "SUCCESS", "SUCCESS", "SUCCESS")
    expect(page.locator("#run-state")).to_contain_text("Succeeded")
    expect(page.locator("#announcement")).to_have_text("nightly: Succeeded. 2 of 2 tasks done.")
    expect(page).to_have_title(re.compile("Succeeded: nightly"))
    page.set_viewport_size({"width": 1280, "height": 900})
    page.screenshot(path=ARTIFACTS / "live-2-over.png", full_page=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2500)
    assert asked == []


def test_a_task_that_fails_while_it_is_watched_shows_why(site: Site, visit: Visit) -> None:
    put_live(site, "SUCCESS", "BLOCKED")
    page = visit.goto(f"/jobs/{JOB}/runs/500")
    expect(page.locator("#task-report")).not_to_have_attribute("open", "")
    put_output(site, 502, "report", error="ValueError: no rate", error_trace="Traceback of report")
    put_live(site, "SUCCESS", "FAILED", "FAILED")
    expect(page.locator("#trace-502")).to_be_visible()
    expect(page.locator("#announcement")).to_contain_text("1 failure: report")


def test_a_new_dataset_appears_in_the_graph_of_an_update(site: Site, visit: Visit) -> None:
    put_update(site, "u-live", "RUNNING")
    put_flow(site, 1, "main.shop.bronze_orders", update_id="u-live")
    page = visit.goto(f"/pipelines/{PIPELINE}/updates/u-live")
    expect(page.locator("a.box")).to_have_count(1)
    put_flow(site, 3, "main.shop.silver_orders", "main.shop.bronze_orders", update_id="u-live")
    done = progress("RUNNING", 1204, valid_id=(1200, 4))
    put_event(site, 5, "flow_progress", done, dataset="main.shop.silver_orders", update_id="u-live")
    expect(page.locator("a.box")).to_have_count(2)
    expect(page.locator("a.box").nth(1)).to_contain_text("1,204 rows")
    expect(page.locator("a.box").nth(1)).to_contain_text("4 failed")
    # What came by script is drawn: it has the right namespace and a size.
    box = page.locator("a.box rect").nth(1).bounding_box()
    assert box is not None
    assert box["width"] > 100


def test_a_reader_is_told_while_the_workspace_does_not_answer(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    with serve(tmp_path, loaded_plugins()) as site:
        put_job(site)
        put_live(site, "RUNNING", "BLOCKED")
        page = context.new_page()
        page.goto(site.login)
        page.wait_for_url(f"{site.url}/")
        page.goto(f"{site.url}/jobs/{JOB}/runs/500")
        expect(page.locator("#connection")).to_be_hidden()
    expect(page.locator("#connection")).to_be_visible()
    context.close()


def test_a_page_reads_well_without_scripts(site: Site, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.url}/login?next={RUN_PAGE}")
    page.get_by_label("Token").fill(site.services.settings.token)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("nightly")
    expect(page.locator("#task-graph a.box")).to_have_count(4)
    context.close()


def test_times_are_in_the_zone_of_the_browser(visit: Visit) -> None:
    page = visit.goto(RUN_PAGE)
    shown = page.locator("time").first
    expect(shown).to_have_text("2023-11-15 07:13:20")  # Tokyo is nine hours ahead
    expect(shown).to_have_attribute("title", "2023-11-14 22:13:20 UTC")


# Everyone can read it, nothing runs in it -----------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_names_logs_and_cells_never_become_markup(visit: Visit, page: str) -> None:
    shown = visit.goto(page)
    assert shown.locator("script").count() == 1
    assert shown.locator("img").count() == 0
    shown.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    shown.wait_for_timeout(100)
    # `visit` fails for an alert, an error, or a breach of the content security policy.


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_phone_scrolls_tables_and_graphs_but_not_the_page(visit: Visit, page: str) -> None:
    visit.page.set_viewport_size({"width": NARROW, "height": 640})
    shown = visit.goto(page)
    shown.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    assert shown.evaluate("document.documentElement.scrollWidth") == NARROW
    assert shown.evaluate("document.body.scrollWidth") == NARROW


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_every_text_has_enough_contrast(visit: Visit, page: str, scheme: Any) -> None:
    visit.page.emulate_media(color_scheme=scheme)
    shown = visit.goto(page)
    shown.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    texts = shown.evaluate(CONTRAST)
    assert len(texts) > 8
    assert [(text, round(ratio, 2)) for text, ratio in texts if ratio < 4.5] == []


@pytest.mark.parametrize("page", [*PAGES.values(), "/login", "/jobs/77"])
def test_every_part_has_a_name_and_headings_are_in_order(visit: Visit, page: str) -> None:
    shown = visit.goto(page)
    if page == "/jobs/77":
        visit.problems.clear()  # Chromium reports the 404 itself
    assert shown.evaluate(UNNAMED) == []
    levels = shown.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = shown.evaluate("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert sorted(ids) == sorted(set(ids))
    assert shown.locator("main").count() == 1
    assert shown.locator("html").get_attribute("lang") == "en"


def test_a_state_is_shown_by_a_word_and_a_shape_too(visit: Visit) -> None:
    page = visit.goto(RUN_PAGE)
    shapes = page.evaluate(
        "[...document.querySelectorAll('#task-list .state')].map((e) => "
        "[e.querySelector('use').getAttribute('href'), e.textContent.trim()])"
    )
    assert shapes == [
        ["#sign-good", "Succeeded"],
        ["#sign-good", "Succeeded"],
        ["#sign-bad", "Failed"],
        ["#sign-wait", "Blocked"],
    ]


def test_the_keyboard_reaches_the_content_the_graph_and_the_log(visit: Visit) -> None:
    page = visit.goto(RUN_PAGE)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    for _ in range(2):  # the breadcrumb
        page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#task-graph")).to_be_focused()
    page.keyboard.press("Tab")
    box = page.locator("#task-graph a.box").first
    expect(box).to_be_focused()
    assert box.get_attribute("aria-label") == "load, Python file, Succeeded"
    # Focus is seen: the box that has it is drawn in another way.
    width = "getComputedStyle(document.querySelectorAll('#task-graph rect')[%d]).strokeWidth"
    assert page.evaluate(width % 0) != page.evaluate(width % 1)
    expect(page.locator("#log-101")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator("#log-101")).to_be_visible()


def test_thirty_datasets_stay_legible(visit: Visit) -> None:
    page = visit.goto(UPDATE_PAGE)
    expect(page.locator("a.box")).to_have_count(30)
    boxes = page.evaluate(
        "[...document.querySelectorAll('a.box rect')].map((r) => r.getBoundingClientRect().toJSON())"
    )
    assert min(box["width"] for box in boxes) >= 150
    names = page.evaluate(
        "[...document.querySelectorAll('a.box')].map((b) => [b.querySelector('rect').getBBox().width, "
        "...[...b.querySelectorAll('text')].map((t) => t.getBBox().width)])"
    )
    assert all(max(widths) < box for box, *widths in names)
    assert page.locator("#datasets tbody tr").count() == 30


def test_reduced_motion_is_respected(visit: Visit) -> None:
    put_run(visit.site, "RUNNING", [task("load", "RUNNING", 601)], run_id=600)
    style = "getComputedStyle(document.querySelector('.box.tone-busy rect')).animationName"
    visit.page.emulate_media(reduced_motion="no-preference")
    page = visit.goto(f"/jobs/{JOB}/runs/600")
    assert page.evaluate(style) != "none"
    visit.page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(style) == "none"


@pytest.mark.parametrize(
    ("look", "width", "scheme"), [("light", 1280, "light"), ("dark", 1280, "dark"), ("phone", 320, "light")]
)
def test_a_picture_of_every_page_is_kept(visit: Visit, look: str, width: int, scheme: Any) -> None:
    visit.page.set_viewport_size({"width": width, "height": 900})
    visit.page.emulate_media(color_scheme=scheme)
    for name, address in PAGES.items():
        file = ARTIFACTS / f"{name}-{look}.png"
        visit.goto(address).screenshot(path=file, full_page=True)
        assert file.stat().st_size > 5000
