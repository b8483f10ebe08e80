"""`pack` loses nothing, keeps the order, and is exact to the byte."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.models import Alias, Context, Identify
from ecommerce_lakehouse.activation.customerio.packing import Batch, Oversize, Unsendable, pack

FACE = chr(0x1F600)  # four bytes
EMPTY = len(b'{"type":"track","messageId":"0000","event":""}')


def message(size: int, number: int = 0) -> dict[str, Any]:
    """A message of exactly so many bytes, most of them in characters of four."""
    faces, rest = divmod(size - EMPTY, 4)
    return {"type": "track", "messageId": f"{number:04}", "event": FACE * faces + "x" * rest}


def batches(*arguments: Any, **options: Any) -> list[Batch]:
    found = list(pack(*arguments, **options))
    assert all(isinstance(item, Batch) for item in found)
    return [item for item in found if isinstance(item, Batch)]


@pytest.mark.parametrize(("size", "fits"), [(31_999, True), (32_000, True), (32_001, False)])
def test_a_message_of_32000_bytes_fits_and_one_of_a_byte_more_does_not(size: int, fits: bool) -> None:
    small = message(100, 1)
    found = list(pack([small, message(size), small]))
    if fits:
        (batch,) = found
        assert isinstance(batch, Batch)
        assert [len(part) for part in batch.parts] == [100, size, 100]
    else:
        oversize, batch = found
        assert oversize == Oversize(1, "0000", 32_001, 32_000)
        assert isinstance(batch, Batch)
        assert batch.positions == [0, 2]


@pytest.mark.parametrize(("size", "calls"), [(499_999, 1), (500_000, 1), (500_001, 2)])
def test_a_batch_may_have_500000_bytes_with_its_envelope(size: int, calls: int) -> None:
    envelope = len(b'{"batch":[]}')
    # 16 messages of 31,000 bytes with their commas, and one that fills the rest to the byte.
    rest = size - envelope - 16 * 31_001
    sent = [*(message(31_000, number) for number in range(16)), message(rest, 16)]
    found = batches(sent)
    assert len(found) == calls
    bodies = [batch.body() for batch in found]
    assert [len(body) for body in bodies] == ([size] if calls == 1 else [size - rest - 1, envelope + rest])
    assert [m for body in bodies for m in json.loads(body)["batch"]] == sent


def test_the_context_of_a_batch_counts_as_part_of_its_envelope() -> None:
    context = Context(ip="127.0.0.1")
    (batch,) = batches([message(100)], context=context, integrations={"All": True})
    assert json.loads(batch.body()) == {
        "batch": [message(100)],
        "context": {"ip": "127.0.0.1"},
        "integrations": {"All": True},
    }
    exact = Limits(batch_bytes=len(batch.body()))
    assert len(batches([message(100)], exact, context=context, integrations={"All": True})) == 1
    (found,) = pack([message(101)], exact, context=context, integrations={"All": True})
    assert isinstance(found, Oversize)


def test_what_is_not_a_message_is_reported_and_stops_nothing() -> None:
    good = message(100)
    wrong: list[Any] = [None, 7, "text", {}, {"type": "buy"}, {**good, "properties": {"x": float("nan")}}]
    *reports, batch = pack([good, *wrong, good])
    assert [(item.position, type(item)) for item in reports if not isinstance(item, Batch)] == [
        (number, Unsendable) for number in range(1, 7)
    ]
    assert isinstance(batch, Batch)
    assert batch.positions == [0, 7]


def test_validation_refuses_what_a_model_refuses() -> None:
    wrong = {"type": "track", "messageId": "m", "event": "Signed Up"}
    assert len(batches([wrong])) == 1
    (found,) = pack([wrong], validate=True)
    assert found == Unsendable(0, "m", "track: Value error, one of userId, anonymousId, groupId is needed")


def test_a_message_with_a_context_of_its_own_goes_by_itself() -> None:
    """A batch has one context; see the API's documentation of batches."""
    plain, own = message(100), {**message(100, 1), "context": {"device": {"token": "t"}}}
    alias = Alias(previous_id="a", user_id="b")
    found = batches([plain, own, plain, alias, plain])
    assert [(batch.endpoint, batch.positions) for batch in found] == [
        ("batch", [0]),
        ("track", [1]),
        ("batch", [2]),
        ("alias", [3]),
        ("batch", [4]),
    ]
    assert json.loads(found[1].body()) == own
    (together,) = batches([plain, own, alias], own_context="batch")
    assert together.positions == [0, 1, 2]


def test_halves_hold_the_whole() -> None:
    (batch,) = batches([message(100, number) for number in range(5)])
    first, second = batch.halves()
    assert (first.positions, second.positions) == ([0, 1], [2, 3, 4])
    assert (
        json.loads(first.body())["batch"] + json.loads(second.body())["batch"]
        == json.loads(batch.body())["batch"]
    )


def test_no_more_is_read_than_the_next_batch_needs() -> None:
    read = itertools.count()

    def endless() -> Iterator[dict[str, Any]]:
        while True:
            next(read)
            yield message(30_000)

    packed = pack(endless())
    next(packed)
    assert next(read) == 17


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MESSAGES = st.lists(
    st.builds(
        lambda name, values: {"type": "track", "event": name, "properties": values},
        TEXTS,
        st.dictionaries(TEXTS, VALUES, max_size=4),
    ),
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(MESSAGES, st.integers(120, 400), st.integers(130, 1500))
def test_nothing_is_lost_the_order_stays_and_the_limits_hold(
    drawn: list[dict[str, Any]], call_bytes: int, batch_bytes: int
) -> None:
    sent = [{**fields, "messageId": f"m{number}"} for number, fields in enumerate(drawn)]
    limits = Limits(call_bytes=call_bytes, batch_bytes=batch_bytes)
    oversize, arrived, places = [], [], []
    previous = None
    for item in pack(sent, limits):
        if isinstance(item, Oversize):
            oversize.append(item.position)
            assert item.size > min(call_bytes, batch_bytes - 12)
            continue
        assert isinstance(item, Batch)
        body = item.body()
        assert len(body) <= batch_bytes
        assert all(len(part) <= call_bytes for part in item.parts)
        if previous is not None:
            assert previous + 1 + len(item.parts[0]) > batch_bytes, "the message before would have had room"
        previous = len(body)
        places += item.positions
        arrived += json.loads(body)["batch"]
    assert places == sorted(places)
    assert sorted(places + oversize) == list(range(len(sent)))
    assert arrived == [sent[place] for place in places]


def test_models_are_packed_as_they_are() -> None:
    people = [Identify(user_id=str(number), traits={"n": number}) for number in range(3)]
    (batch,) = batches(people)
    assert batch.message_ids == [person.message_id for person in people]
    assert [person["userId"] for person in json.loads(batch.body())["batch"]] == ["0", "1", "2"]
