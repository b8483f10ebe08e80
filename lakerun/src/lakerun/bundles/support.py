"""The effect of each of Databricks' settings and arguments here: `Support`.

None is silently ignored. Each is carried out, or has no effect here because it cannot change a result, or is
refused by name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

Effect = Literal["carried out", "no effect", "refused"]


@dataclass(frozen=True)
class Support:
    """The effect of a setting and the reason.

    `accepted` are values of a refused one that have no effect anyway. `parts` is the kind of the mapping, or
    of the mappings, in its value.
    """

    effect: Effect
    reason: str
    accepted: Collection[object] = ()
    parts: str = ""

    def refuses(self, value: object) -> bool:
        """Whether it is refused with this value. An empty or false value is always accepted."""
        return self.effect == "refused" and bool(value) and value not in self.accepted

    def ignores(self, value: object) -> bool:
        """Whether this value has no effect."""
        return self.effect == "no effect" and bool(value)


def supported(
    *,
    carried_out: Mapping[str, str | Support] | None = None,
    no_effect: Mapping[str, str | Support] | None = None,
    refused: Mapping[str, str | Support] | None = None,
) -> dict[str, Support]:
    """The settings of one kind, each with its reason."""
    found: dict[str, Support] = {}
    groups: tuple[tuple[Effect, Mapping[str, str | Support] | None], ...] = (
        ("carried out", carried_out),
        ("no effect", no_effect),
        ("refused", refused),
    )
    for effect, group in groups:
        for name, reason in (group or {}).items():
            assert name not in found, name
            found[name] = reason if isinstance(reason, Support) else Support(effect, reason)
    return found
