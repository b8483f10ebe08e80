"""Pages of a long list: `Paging`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

LAST_PAGE = 1_000_000


@dataclass(frozen=True)
class Paging:
    """Page `number` (from 1) of a list; `more`: whether another one follows. Links keep `query`."""

    number: int
    per_page: int
    more: bool = False
    query: Mapping[str, str] | None = None
    anchor: str = ""

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.per_page

    @property
    def previous(self) -> str | None:
        return self._link(self.number - 1) if self.number > 1 else None

    @property
    def next(self) -> str | None:
        return self._link(self.number + 1) if self.more else None

    def _link(self, number: int) -> str:
        kept = {key: value for key, value in (self.query or {}).items() if value}
        return f"?{urlencode({**kept, 'page': number})}{self.anchor}"
