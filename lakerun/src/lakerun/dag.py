"""Runs work with dependencies in parallel: `DagRun`; `find_cycle` says why a graph cannot run."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from graphlib import CycleError, TopologicalSorter
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)
Result = TypeVar("Result")


def find_cycle(graph: Mapping[Node, Iterable[Node]]) -> list[Node]:
    """The nodes of a cycle, the first one repeated at the end; empty if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        # graphlib lists each node before the one that waits for it.
        return list(reversed(error.args[1]))
    return []


class DagRun(Generic[Node, Result]):
    """One run of a graph: each node runs when its dependencies have ended.

    `graph` maps each node to its dependencies; names outside of the graph do not count. When a node is ready,
    `end_without_running` is called first: it returns the node's result, or None for a node that has to run.
    Then `submit` gets the work, a function to call in another thread; it may limit how many run in parallel.
    The work calls `run(node, before)`, where `before` has the results at the time when the node became ready.
    Only the thread that calls `step` reads and changes `results`.
    """

    def __init__(
        self,
        graph: Mapping[Node, Iterable[Node]],
        *,
        end_without_running: Callable[[Node], Result | None],
        run: Callable[[Node, Mapping[Node, Result]], Result],
        submit: Callable[[Callable[[], None]], object],
    ) -> None:
        self.results: dict[Node, Result] = {}
        self._end_without_running, self._run, self._submit = end_without_running, run, submit
        self._sorter = TopologicalSorter(
            {node: [other for other in before if other in graph] for node, before in graph.items()}
        )
        self._sorter.prepare()
        self._ready: deque[Node] = deque()
        self._running: set[Node] = set()
        self._ended: queue.SimpleQueue[Callable[[], tuple[Node, Result]]] = queue.SimpleQueue()

    @property
    def active(self) -> bool:
        """Whether a node has not ended yet."""
        return self._sorter.is_active()

    def step(self, seconds: float) -> None:
        """Start the ready nodes, then wait until a running node ends, at most `seconds`.

        Raises the exception of a node's work. After an exception, such as Ctrl-C, the run can continue.
        """
        self._ready.extend(self._sorter.get_ready())
        while self._ready:
            self._start(self._ready[0])
            self._ready.popleft()
            self._ready.extend(self._sorter.get_ready())
        try:
            ended = self._ended.get(timeout=seconds) if self._running else None
            while ended:
                self._end(*ended())
                ended = self._ended.get_nowait()
        except queue.Empty:
            pass

    def _start(self, node: Node) -> None:
        if node in self._running or node in self.results:
            return  # it was started before an exception
        result = self._end_without_running(node)
        if result is not None:
            self._end(node, result)
            return
        self._running.add(node)
        self._submit(partial(self._work, node, dict(self.results)))

    def _work(self, node: Node, before: Mapping[Node, Result]) -> None:
        try:
            result = self._run(node, before)
        except BaseException as error:
            self._ended.put(partial(_raise, error))
        else:
            self._ended.put(lambda: (node, result))

    def _end(self, node: Node, result: Result) -> None:
        self.results[node] = result
        self._running.discard(node)
        self._sorter.done(node)


def _raise(error: BaseException) -> tuple[Node, Result]:
    raise error
