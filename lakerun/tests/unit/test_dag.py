"""Running a graph: the order, and the state after errors."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from lakerun.dag import DagRun, find_cycle

DIAMOND = {"d": ["b", "c"], "b": ["a"], "c": ["a"], "a": []}


def in_a_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()


def never(node: str) -> None:
    return None


def to_end(run: DagRun[str, str]) -> dict[str, str]:
    while run.active:
        run.step(5)
    return run.results


def test_a_cycle_starts_at_a_waiting_node() -> None:
    assert find_cycle(DIAMOND) == []
    cycle = find_cycle({"a": ["b"], "b": ["c"], "c": ["a"], "d": ["a"]})
    assert len(cycle) == 4
    assert cycle[0] == cycle[-1]
    graph = {"a": "b", "b": "c", "c": "a"}
    assert all(graph[node] == following for node, following in pairwise(cycle))


def test_a_node_runs_after_its_dependencies_and_in_parallel_with_others() -> None:
    together = threading.Barrier(2, timeout=10)
    seen: dict[str, set[str]] = {}

    def run(node: str, before: Mapping[str, str]) -> str:
        seen[node] = set(before)
        if node in ("b", "c"):
            together.wait()  # broken, and an error, unless both run at once
        return node.upper()

    results = to_end(DagRun(DIAMOND, end_without_running=never, run=run, submit=in_a_thread))
    assert results == {"a": "A", "b": "B", "c": "C", "d": "D"}
    assert seen == {"a": set(), "b": {"a"}, "c": {"a"}, "d": {"a", "b", "c"}}


def test_a_node_that_ends_without_running_lets_others_start() -> None:
    ran: list[str] = []

    def run(node: str, before: Mapping[str, str]) -> str:
        ran.append(node)
        return f"after {before['b']}"

    dag = DagRun(
        {"c": ["b"], "b": ["a", "elsewhere"], "a": []},
        end_without_running=lambda node: None if node == "c" else "skipped",
        run=run,
        submit=in_a_thread,
    )
    assert to_end(dag) == {"a": "skipped", "b": "skipped", "c": "after skipped"}
    assert ran == ["c"]


def test_the_executor_limits_how_much_runs_in_parallel() -> None:
    running, most = set(), 0

    def run(node: str, before: Mapping[str, str]) -> str:
        nonlocal most
        running.add(node)
        most = max(most, len(running))
        threading.Event().wait(0.02)
        running.remove(node)
        return ""

    nodes: dict[str, list[str]] = {str(number): [] for number in range(8)}
    with ThreadPoolExecutor(max_workers=3) as pool:
        to_end(DagRun(nodes, end_without_running=never, run=run, submit=pool.submit))
    assert most == 3


def test_an_error_of_the_work_is_raised_by_the_next_step() -> None:
    def run(node: str, before: Mapping[str, str]) -> str:
        raise ValueError(f"{node} is broken")

    dag = DagRun({"a": [], "b": ["a"]}, end_without_running=never, run=run, submit=in_a_thread)
    with pytest.raises(ValueError, match="a is broken"):
        to_end(dag)
    assert dag.results == {}


def test_an_interrupted_run_continues_where_it_was() -> None:
    asked: list[str] = []

    def interrupted_once(node: str) -> str | None:
        asked.append(node)
        if asked == ["a"]:
            raise KeyboardInterrupt
        return node.upper()

    dag: DagRun[str, str] = DagRun(
        {"a": [], "b": ["a"]},
        end_without_running=interrupted_once,
        run=lambda node, _: node,
        submit=in_a_thread,
    )
    with pytest.raises(KeyboardInterrupt):
        dag.step(1)
    assert to_end(dag) == {"a": "A", "b": "B"}
    assert asked == ["a", "a", "b"]
