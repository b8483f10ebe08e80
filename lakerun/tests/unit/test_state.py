"""State that must survive a kill: events with the progress that they report, resets, unfinished updates."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lakerun.pipelines.state import FlowProgress, Refreshed, Seen, State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = State(tmp_path / "pipelines" / "sales" / "state.db")
    yield opened
    opened.close()


def test_a_new_state_is_empty(state: State) -> None:
    assert state.unpublished() == []
    assert state.unfinished_updates() == []
    assert state.pending_resets() == []
    assert (state.flow("orders"), state.dataset("orders")) == (None, None)


def test_events_keep_their_order_until_they_are_published(state: State) -> None:
    numbers = [state.record("u1", {"message": text}) for text in ("a", "b", "ü")]
    assert state.unpublished() == list(
        zip(numbers, [{"message": "a"}, {"message": "b"}, {"message": "ü"}], strict=True)
    )
    state.published(numbers[1])
    assert state.unpublished() == [(numbers[2], {"message": "ü"})]


def test_an_events_number_is_never_reused(tmp_path: Path) -> None:
    first = State(tmp_path / "state.db")
    last = [first.record("u1", {}) for _ in range(3)][-1]
    first.published(last)
    first.close()
    second = State(tmp_path / "state.db")
    assert second.record("u2", {}) > last
    second.close()


def test_progress_is_read_back_as_stored(state: State) -> None:
    flow = FlowProgress("epoch", 7, {"main.shop.orders": Seen("id", 3)})
    view = Refreshed("sql", {"main.shop.orders": Seen("id", 3)}, Seen("own", 12))
    state.record("u1", {}, flow=("orders", flow), dataset=("sales", view))
    assert (state.flow("orders"), state.dataset("sales")) == (flow, view)


def test_versions_from_an_earlier_release_have_no_table_id(state: State) -> None:
    state.put_flow("orders", FlowProgress("epoch", 8, {}))
    state._db.execute("""UPDATE flows SET inputs = '{"main.shop.orders": 3}'""")
    assert state.flow("orders") == FlowProgress("epoch", 8, {"main.shop.orders": Seen("", 3)})
    state._db.execute("UPDATE flows SET inputs = NULL")
    assert state.flow("orders") == FlowProgress("epoch", 8, {})


def test_an_event_and_its_progress_are_stored_together_or_not_at_all(state: State) -> None:
    before = FlowProgress("epoch", 1, {})
    state.put_flow("orders", before)
    with pytest.raises(TypeError):  # stored after event and flow
        state.record(
            "u1",
            {"message": "batch 2"},
            flow=("orders", FlowProgress("epoch", 2, {})),
            dataset=("sales", Refreshed("sql", {"t": Seen(object(), 1)}, Seen("own", 1))),  # type: ignore[arg-type]
        )
    assert state.unpublished() == []
    assert state.flow("orders") == before
    # The next one is not part of a transaction that was left open.
    state.record("u1", {"message": "again"}, flow=("orders", FlowProgress("epoch", 2, {})))
    assert [body for _, body in state.unpublished()] == [{"message": "again"}]
    assert state.flow("orders") == FlowProgress("epoch", 2, {})


def test_what_was_recorded_survives_a_kill(tmp_path: Path) -> None:
    code = f"""
import os, pathlib, signal
from lakerun.pipelines.state import FlowProgress, State
state = State(pathlib.Path({str(tmp_path / "state.db")!r}))
state.begin_update("u1")
state.record("u1", {{"message": "batch 0"}}, flow=("orders", FlowProgress("epoch", 0, {{}})))
state.request_reset({{"sales": []}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    state = State(tmp_path / "state.db")
    assert [body for _, body in state.unpublished()] == [{"message": "batch 0"}]
    assert state.flow("orders") == FlowProgress("epoch", 0, {})
    assert state.unfinished_updates() == ["u1"]
    assert state.pending_resets() == ["sales"]
    state.close()


def test_an_update_is_unfinished_until_it_ends(state: State) -> None:
    state.begin_update("u1")
    state.begin_update("u2")
    assert sorted(state.unfinished_updates()) == ["u1", "u2"]
    state.end_update("u1")
    assert state.unfinished_updates() == ["u2"]


def test_a_reset_forgets_only_the_progress_of_its_dataset(state: State) -> None:
    kept_flow, kept_view = FlowProgress("e", 5, {}), Refreshed("sql", {}, Seen("own", 2))
    for name in ("orders", "orders_backfill", "customers"):
        state.put_flow(name, kept_flow)
    state.record("u1", {}, dataset=("daily", kept_view))
    state.record("u1", {}, dataset=("weekly", kept_view))

    state.request_reset({"silver_orders": ["orders", "orders_backfill"], "daily": []})

    assert sorted(state.pending_resets()) == ["daily", "silver_orders"]
    assert (state.flow("orders"), state.flow("orders_backfill"), state.dataset("daily")) == (None,) * 3
    assert (state.flow("customers"), state.dataset("weekly")) == (kept_flow, kept_view)
    assert len(state.unpublished()) == 2

    state.request_reset({"daily": []})  # requested again before the first was done
    state.reset_done("daily")
    assert state.pending_resets() == ["silver_orders"]


def test_flows_that_end_at_the_same_time_lose_no_event(state: State) -> None:
    def flow(name: int) -> list[int]:
        return [
            state.record("u1", {"flow": name}, flow=(str(name), FlowProgress("e", batch, {})))
            for batch in range(20)
        ]

    with ThreadPoolExecutor(8) as pool:
        numbers = [number for found in pool.map(flow, range(8)) for number in found]
    assert sorted(numbers) == [number for number, _ in state.unpublished()]
    assert len(set(numbers)) == 160
    assert [state.flow(str(name)) for name in range(8)] == [FlowProgress("e", 19, {})] * 8
