"""The health page: its figures, its charts' geometry, and what it says without data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from workspace.pages_site import Site, serve

from lakerun.plugins import loaded_plugins
from lakerun.tables.storage import TableName
from lakerun.workspace.pages.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Series,
    bar_chart,
    line_chart,
)
from tests.unit import dashboard_data

DAYS = [date(2024, 3, 1) + timedelta(days=n) for n in range(4)]


# Geometry -----------------------------------------------------------------------------------------------


def test_bars_of_a_day_stand_on_each_other_and_are_as_high_as_their_values() -> None:
    series = [Series("Completed", "good", [3, 0, 1, 8]), Series("Failed", "bad", [1, 0, 2, None])]
    chart = bar_chart("c", "Updates", "", "updates", DAYS, series)
    assert [tick.text for tick in chart.rows] == ["0", "2", "4", "6", "8"]
    one = (HEIGHT - TOP - BOTTOM) / 8
    heights = {bar.title: bar.height for bar in chart.bars}
    assert heights == pytest.approx(
        {
            "2024-03-01: 3 completed": 3 * one,
            "2024-03-01: 1 failed": one,
            "2024-03-03: 1 completed": one,
            "2024-03-03: 2 failed": 2 * one,
            "2024-03-04: 8 completed": 8 * one,
        },
        abs=0.11,
    )
    completed, failed = chart.bars[:2]
    assert failed.y + failed.height == pytest.approx(completed.y, abs=0.11)
    assert completed.y + completed.height == HEIGHT - BOTTOM
    assert all(bar.x >= LEFT and bar.x + bar.width <= WIDTH - RIGHT for bar in chart.bars)


def test_a_line_breaks_where_a_day_has_no_value() -> None:
    chart = line_chart("c", "Age", "", "hours", DAYS, [Series("orders", "line-1", [None, 24, None, 0])])
    (path,) = chart.paths
    assert re.sub(r"[\d.]+ [\d.]+", "p", path.d) == "MpMp"
    step = (WIDTH - LEFT - RIGHT) / 4
    assert [(dot.x, dot.title) for dot in chart.dots] == [
        (LEFT + step * 1.5, "2024-03-02: 24 hours, orders"),
        (LEFT + step * 3.5, "2024-03-04: 0 hours, orders"),
    ]
    assert chart.dots[1].y == HEIGHT - BOTTOM


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (1, ["0", "0.50", "1"]),
        (4, ["0", "1", "2", "3", "4"]),
        (5, ["0", "2", "4", "6"]),
        (107, ["0", "50", "100", "150"]),
        (0.25, ["0", "0.10", "0.20", "0.30"]),
        (1_234_567, ["0", "500,000", "1,000,000", "1,500,000"]),
        (0, ["0", "1"]),
    ],
)
def test_ticks_are_round_numbers_up_to_the_highest_value(highest: float, ticks: list[str]) -> None:
    chart = line_chart("c", "", "", "", DAYS, [Series("a", "line-1", [0, 0, 0, highest])])
    assert [tick.text for tick in chart.rows] == ticks
    assert min(dot.y for dot in chart.dots) >= TOP


def test_dates_are_counted_from_the_last_day() -> None:
    days = [date(2024, 3, 1) + timedelta(days=n) for n in range(30)]
    chart = bar_chart("c", "", "", "", days, [Series("a", "plain", [1] * 30)])
    assert [tick.text for tick in chart.columns] == [
        "Mar 5",
        "Mar 10",
        "Mar 15",
        "Mar 20",
        "Mar 25",
        "Mar 30",
    ]


# The page -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("health"), loaded_plugins()) as site:
        dashboard_data.write_logs(site.services.storage)
        other = site.services.storage.table_path(TableName("local", "data_eng", "event_log_of_mine"))
        other.mkdir(parents=True)
        write_deltalake(str(other), pa.table({"note": ["no event log"]}))
        yield site


class Document(HTMLParser):
    """A page as a tree; one whose tags do not match is an error."""

    VOID = ("link", "meta", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self._builder = TreeBuilder()
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []
        self.root = self._builder.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._builder.start(tag, {name: value or "" for name, value in attrs})
        if tag in self.VOID:
            self._builder.end(tag)
        else:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        self._builder.end(tag)

    def handle_data(self, data: str) -> None:
        self._builder.data(data)


def page_of(site: Site, address: str = "/monitoring") -> Element:
    with site.reader() as reader:
        answer = reader.get(address)
    assert answer.status_code == 200, answer.text
    return Document(answer.text).root


def words(element: Element) -> str:
    return "".join(element.itertext()).strip()


def figures(page: Element, chart: str) -> dict[str, list[str]]:
    rows = page.findall(f".//*[@id='{chart}-figures']//tbody/tr")
    return {words(row[0]): [words(cell) for cell in row[1:]] for row in rows}


def day(ago: int) -> str:
    return (dashboard_data.TODAY.date() - timedelta(days=ago)).isoformat()


def test_the_page_shows_the_totals_of_its_period(site: Site) -> None:
    page = page_of(site)
    facts = {words(fact[0]): words(fact[1]) for fact in page.findall(".//dl[@class='facts']/div")}
    # Four of six updates completed; 24 of 269 records failed; updates ran 100 + 20 + 60 + 40 + 15 + 25 s.
    assert facts == {
        "Success rate": "66.67 %",
        "Expectation failures": "8.92 %",
        "Rows written": "164",
        "Run time": "4 min 20 s",
    }
    assert [words(link) for link in page.findall(".//nav[@aria-label='Main']//a")][-1] == "Health"


def test_every_chart_has_its_figures_in_a_table(site: Site) -> None:
    page = page_of(site)
    assert len(page.findall(".//svg[@role='img'][title][desc]")) == 4
    updates = figures(page, "updates")
    assert len(updates) == 30
    assert {when: cells for when, cells in updates.items() if set(cells) != {"0"}} == {
        day(9): ["1", "1", "0"],
        day(3): ["2", "0", "0"],
        day(2): ["0", "0", "1"],
        day(1): ["1", "1", "0"],
    }
    written = figures(page, "rows")
    assert {when: cells for when, cells in written.items() if cells != ["0"]} == {
        day(9): ["107"],
        day(3): ["12"],
        day(1): ["45"],
    }
    failures = figures(page, "failures")
    assert {when: cells for when, cells in failures.items() if cells != ["\N{EN DASH}"]} == {
        day(9): ["3.86"],  # 8 of 207
        day(3): ["50"],
        day(1): ["20"],
    }
    freshness = figures(page, "freshness")
    # On its third day the older of medallion's two datasets was complete at 10:01:20 on the first.
    assert freshness[day(7)][0] == "62.0"
    assert freshness[day(4)][1:] == ["\N{EN DASH}"] * 2


def test_a_shorter_period_leaves_out_what_was_before(site: Site) -> None:
    page = page_of(site, "/monitoring?days=7")
    assert len(figures(page, "updates")) == 7
    assert "3 updates completed, 1 failed, 1 canceled." in words(page)
    chosen = page.findall(".//nav[@aria-label='Period']//a[@aria-current]")
    assert [words(link) for link in chosen] == ["7 days"]


def test_datasets_are_listed_the_oldest_first(site: Site) -> None:
    rows = page_of(site).findall(".//*[@id='dataset-ages']//tbody/tr")
    assert [words(row[0]) for row in rows] == [
        "gold_daily_sales",
        "silver_orders",
        "feature_value",
        "silver_order_batches",
    ]


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("/monitoring?days=31", 400, "days: 31 is not one of 7, 30, 90."),
        ("/monitoring?schema=local.none", 404, "local.none"),
        ("/monitoring?schema=%3Cscript%3E", 404, "&lt;script&gt;"),
    ],
)
def test_a_wrong_address_is_an_error(site: Site, address: str, status: int, said: str) -> None:
    with site.reader() as reader:
        answer = reader.get(address)
    assert answer.status_code == status
    assert said in answer.text
    assert "<script>" not in answer.text


def test_each_schema_with_event_logs_has_its_own_page(tmp_path: Path) -> None:
    with serve(tmp_path, loaded_plugins()) as site:
        assert "No pipeline has written an event log yet." in words(page_of(site))
        dashboard_data.write_logs(site.services.storage)
        tables = site.services.storage.tables_root
        (tables / "local" / "data_eng").rename(tables / "local" / "one")
        dashboard_data.write_logs(site.services.storage)
        page = page_of(site, "/monitoring?schema=local.one")
        links = page.findall(".//nav[@aria-label='Schema']//a")
        assert [(words(a), a.get("aria-current")) for a in links] == [
            ("local.data_eng", None),
            ("local.one", "true"),
        ]


def test_a_visitor_has_to_sign_in(site: Site) -> None:
    with site.visitor() as visitor:
        answer = visitor.get("/monitoring")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fmonitoring")
