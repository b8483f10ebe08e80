"""Pages of a long list: their items, and the way to the next one."""

from __future__ import annotations

import pytest

from lakerun.workspace.errors import ApiError
from lakerun.workspace.paging import (
    checked_size,
    number_in,
    numbered_page,
    page_after,
    page_of,
    page_size,
    reader,
)


def test_pages_with_tokens_have_every_item_once() -> None:
    assert page_of("abcde", None, 2) == (["a", "b"], "2")
    assert page_of("abcde", "2", 2) == (["c", "d"], "4")
    assert page_of("abcde", "4", 2) == (["e"], None)
    assert page_of("abcd", "2", 2) == (["c", "d"], None)
    assert page_of("", None, 2) == ([], None)


def test_items_added_or_deleted_between_two_pages_do_not_move_others() -> None:
    first, token = page_after(["b", "d", "f", "h"], None, 2, str)
    assert (first, token) == (["b", "d"], "d")
    assert page_after(["a", "d", "f", "h"], token, 2, str) == (["f", "h"], None)
    assert page_after(["b", "f"], "d", 2, str) == (["f"], None)  # the item of the token was deleted


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "eyJhIjogMX0="])
def test_a_token_that_was_not_returned_is_refused(token: str) -> None:
    with pytest.raises(ApiError, match="page_token") as refused:
        page_of("abc", token, 2)
    assert refused.value.status == 400
    assert number_in(None) == number_in("") == 0


def test_the_size_of_a_page_has_bounds() -> None:
    assert [page_size(asked, 50) for asked in (None, 0, 7, 51)] == [50, 50, 7, 50]
    assert checked_size(100, 100, "limit") == 100
    with pytest.raises(ApiError, match="page_size: it cannot be less than 0"):
        page_size(-1, 50, "page_size")
    for wrong in (0, -1, 101):
        with pytest.raises(ApiError, match=f"limit: must be from 1 to 100; given: {wrong}"):
            checked_size(wrong, 100, "limit")


def test_numbered_pages_link_to_the_previous_and_next_pages() -> None:
    rows, paging = numbered_page(reader(range(5)), 2, 2, {"level": "WARN", "rule": ""}, "#events")
    assert rows == [2, 3]
    assert paging.previous == "?level=WARN&page=1#events"
    assert paging.next == "?level=WARN&page=3#events"
    rows, paging = numbered_page(reader(range(5)), 3, 2)
    assert (rows, paging.previous, paging.next) == ([4], "?page=2", None)
    rows, paging = numbered_page(reader(range(5)), 1, 5)
    assert (rows, paging.previous, paging.next) == ([0, 1, 2, 3, 4], None, None)
    assert numbered_page(reader(range(5)), 9, 5)[0] == []
