"""Parts of a long list: pages with a token for the API, numbered pages for the browser."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar
from urllib.parse import urlencode

from lakerun.workspace.errors import invalid

Item = TypeVar("Item")
Item_co = TypeVar("Item_co", covariant=True)

LAST_PAGE = 1_000_000
FOREIGN_TOKEN = "page_token: it does not come from an earlier answer."


class Fetch(Protocol[Item_co]):
    """Reads a list from `offset` on, at most `limit` items."""

    def __call__(self, *, offset: int, limit: int) -> Iterable[Item_co]: ...


def checked_size(asked: int, largest: int, field: str) -> int:
    """The size of a page, which has to be from 1 to `largest`."""
    if not 1 <= asked <= largest:
        raise invalid(f"{field}: must be from 1 to {largest}; given: {asked}.")
    return asked


def page_size(asked: int | None, largest: int, field: str = "max_results") -> int:
    """How many items a page holds: `largest` where 0 or nothing is asked for, and never more."""
    if asked is not None and asked < 0:
        raise invalid(f"{field}: it cannot be less than 0.")
    return min(asked or largest, largest)


def page_of(items: Iterable[Item], token: str | None, size: int) -> tuple[list[Item], str | None]:
    """The page at `token`, None for the first, and the next page's token, None after the last."""
    return page_from(reader(items), token, size)


def page_from(fetch: Fetch[Item], token: str | None, size: int) -> tuple[list[Item], str | None]:
    """As `page_of`, of a list that is read in parts."""
    offset = number_in(token)
    page, more = part(fetch, offset, size)
    return page, str(offset + size) if more else None


def page_after(
    items: Iterable[Item], token: str | None, size: int, key: Callable[[Item], str]
) -> tuple[list[Item], str | None]:
    """As `page_of`, of items in the order of their keys: the token is the last key of the page before.

    What is added or deleted between two calls then moves no other item from one page to another.
    """
    page, more = part(reader(item for item in items if not token or key(item) > token), 0, size)
    return page, key(page[-1]) if more else None


def number_in(token: str | None) -> int:
    """The number that a token consists of, 0 for none."""
    if token and not token.isdecimal():
        raise invalid(FOREIGN_TOKEN)
    return int(token or 0)


def reader(items: Iterable[Item]) -> Fetch[Item]:
    """Reads parts of `items`; of an iterator, only one."""

    def fetch(*, offset: int, limit: int) -> Iterable[Item]:
        return islice(items, offset, offset + limit)

    return fetch


def part(fetch: Fetch[Item], offset: int, size: int) -> tuple[list[Item], bool]:
    """One page, and whether there is more: one item more is asked for to know it."""
    found = list(fetch(offset=offset, limit=size + 1))
    return found[:size], len(found) > size


@dataclass(frozen=True)
class Paging:
    """Page `number` (from 1) of a list; `more`: whether another one follows. Links keep `query`."""

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
    """The items of page `number` (from 1), and the links to the pages beside it."""
    page, more = part(fetch, (number - 1) * size, size)
    return page, Paging(number, more, query or {}, anchor)
