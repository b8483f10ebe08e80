"""The graphs and the figures on pages."""

from __future__ import annotations

import random
import re
from itertools import combinations

import pytest

from lakerun.formats import duration, size
from lakerun.workspace.pages.drawing import Box, draw
from lakerun.workspace.pages.layout import Layout, Size, lay_out

BOX = Size(200, 60)
DIAMOND = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]


def drawn(edges: list[tuple[str, str]], nodes: str | list[str]) -> Layout:
    return lay_out(list(nodes), edges, BOX)


def refinery() -> tuple[list[str], list[tuple[str, str]]]:
    """30 datasets in five layers, each reads one or two of any earlier layer."""
    draws = random.Random(4)
    nodes = [f"layer{n // 6}_table{n % 6}" for n in range(30)]
    edges = [
        (nodes[draws.randrange(n // 6 * 6)], nodes[n])
        for n in range(6, 30)
        for _ in range(draws.choice((1, 2)))
    ]
    return nodes, edges


def test_a_node_is_to_the_right_of_its_inputs() -> None:
    places = drawn([*DIAMOND, ("a", "d"), ("d", "e")], "abcde").places
    assert places["a"][0] < places["b"][0] == places["c"][0] < places["d"][0] < places["e"][0]


def test_a_source_is_next_to_its_readers() -> None:
    places = drawn([("a", "b"), ("b", "c"), ("late", "c")], ["a", "b", "c", "late"]).places
    assert places["late"][0] == places["b"][0]


def test_boxes_have_gaps_and_are_within_the_drawing() -> None:
    nodes, edges = refinery()
    layout = lay_out(nodes, edges, BOX)
    assert set(layout.places) == set(nodes)
    for one, other in combinations(layout.places.values(), 2):
        assert one[0] != other[0] or abs(one[1] - other[1]) >= BOX.height + BOX.gap_y - 0.2
    for x, y in layout.places.values():
        assert 0 <= x <= layout.width - BOX.width
        assert 0 <= y <= layout.height - BOX.height


def test_no_line_runs_through_a_box() -> None:
    nodes, edges = refinery()
    layout = lay_out(nodes, edges, BOX)
    assert len(layout.lines) == len(set(edges))
    # A line is level only where it crosses a layer, where it must miss every box of that layer.
    passed = 0
    for line in layout.lines:
        for x, y, to in re.findall(r"([\d.]+) ([\d.]+)H([\d.]+)", line.path):
            assert float(to) - float(x) == pytest.approx(BOX.width, abs=0.2)
            passed += 1
            for left, top in layout.places.values():
                if left == pytest.approx(float(x), abs=0.2):
                    assert not top < float(y) < top + BOX.height
    assert passed > 0


def test_a_graph_is_drawn_the_same_each_time() -> None:
    nodes, edges = refinery()
    first = lay_out(nodes, edges, BOX)
    assert all(lay_out(nodes, edges, BOX) == first for _ in range(5))


def test_avoidable_crossings_are_avoided() -> None:
    places = drawn([("a", "y"), ("b", "x")], ["a", "b", "x", "y"]).places
    assert (places["a"][1] < places["b"][1]) == (places["y"][1] < places["x"][1])


@pytest.mark.parametrize(
    "edges", [[("a", "a")], [("a", "b"), ("b", "a")], [("a", "b"), ("b", "c"), ("c", "a")]]
)
def test_a_cycle_is_drawn_and_does_not_hang(edges: list[tuple[str, str]]) -> None:
    layout = drawn(edges, "abc")
    assert set(layout.places) == {"a", "b", "c"}
    assert len(layout.lines) == len([edge for edge in edges if edge[0] != edge[1]])


def test_an_edge_to_an_unknown_node_is_left_out() -> None:
    assert drawn([("a", "gone"), ("gone", "b")], "ab").lines == ()


def test_no_node_makes_an_empty_drawing() -> None:
    assert drawn([], []).places == {}


def test_a_long_name_is_cut_in_the_middle_and_whole_in_the_title() -> None:
    name = "silver_customer_activity_quarantine_duplicates"
    (placed,) = draw([Box(name, name, title=name)], []).boxes
    assert placed.name == "silver_customer_act\N{HORIZONTAL ELLIPSIS}duplicates"
    assert placed.box.title == name


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (0, "0.0 s"),
        (-3, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3599.7, "1 h 00 min"),
        (7380, "2 h 03 min"),
    ],
)
def test_durations_are_readable(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (3_440_000, "3.4 MB")]
)
def test_sizes_are_readable(count: int, text: str) -> None:
    assert size(count) == text
