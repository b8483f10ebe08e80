"""Splits long lists into pages: with tokens for the API, numbered for the browser."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from lakerun.workspace.errors import invalid

Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)

LAST_PAGE = 1_000_000
FOREIGN_TOKEN = "page_token: it was not returned by an earlier call."


class Fetch(Protocol[Item_co]):
    """Reads at most `limit` items of a list, from `offset` on."""

    def __call__(self, *, offset: int, limit: int) -> Iterable[Item_co]: ...


def checked_size(asked: int, largest: int, field: str) -> int:
    """The requested page size, which must be from 1 to `largest`."""
    if not 1 <= asked <= largest:
        raise invalid(f"{field}: must be from 1 to {largest}; given: {asked}.")
    return asked


def page_size(asked: int | None, largest: int, field: str = "max_results") -> int:
    """The number of items on a page: as requested, at most `largest`; `largest` also for 0 or None."""
    if asked is not None and asked < 0:
        raise invalid(f"{field}: it cannot be less than 0.")
    return min(asked or largest, largest)


def page_of(items: Iterable[Item], token: str | None, size: int) -> tuple[list[Item], str | None]:
    """The page at `token`, None for the first, and the next page's token, None after the last."""
    return page_from(reader(items), token, size)


def page_from(fetch: Fetch[Item], token: str | None, size: int) -> tuple[list[Item], str | None]:
    """Like `page_of`, for a list that is read in parts."""
    offset = number_in(token)
    page, more = part(fetch, offset, size)
    return page, str(offset + size) if more else None


def page_after(
    items: Iterable[Item], token: str | None, size: int, key: Callable[[Item], str]
) -> tuple[list[Item], str | None]:
    """Like `page_of`, for items sorted by key: the token is the last key of the previous page.

    Additions and deletions between two calls then do not move other items to another page.
    """
    page, more = part(reader(item for item in items if not token or key(item) > token), 0, size)
    return page, key(page[-1]) if more else None


def number_in(token: str | None) -> int:
    """The number in a token, 0 without a token."""
    if token and not re.fullmatch(r"[0-9]{1,18}", token):
        raise invalid(FOREIGN_TOKEN)
    return int(token or 0)


def reader(items: Iterable[Item]) -> Fetch[Item]:
    """Reads parts of `items`; from an iterator, only one part."""

    def fetch(*, offset: int, limit: int) -> Iterable[Item]:
        return islice(items, offset, offset + limit)

    return fetch


def part(fetch: Fetch[Item], offset: int, size: int) -> tuple[list[Item], bool]:
    """One page, and whether more items follow; for that, one more item is read."""
    found = list(fetch(offset=offset, limit=size + 1))
    return found[:size], len(found) > size


@dataclass(frozen=True)
class Paging:
    """Page `number` (from 1) of a list; `more` says whether another page follows. Links keep `query`."""

    number: int
    more: bool
    query: Mapping[str, str]
    anchor: str

    @property
    def previous(self) -> str | None:
        return self._link(self.number - 1) if self.number > 1 else None

    @property
    def next(self) -> str | None:
        return self._link(self.number + 1) if self.more else None

    def _link(self, number: int) -> str:
        kept = {key: value for key, value in self.query.items() if value}
        return f"?{urlencode({**kept, 'page': number})}{self.anchor}"


def numbered_page(
    fetch: Fetch[Item], number: int, size: int, query: Mapping[str, str] | None = None, anchor: str = ""
) -> tuple[list[Item], Paging]:
    """The items of page `number` (from 1), and links to the previous and the next page."""
    page, more = part(fetch, (number - 1) * size, size)
    return page, Paging(number, more, query or {}, anchor)
