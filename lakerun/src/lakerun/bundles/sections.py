"""Mappings that a user wrote, in YAML or JSON: `Section` reads a value and checks its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lakerun.bundles.references import as_text
from lakerun.bundles.yaml_tree import Mark, YamlList, YamlMap, kind_of
from lakerun.errors import BundleError, LakerunError, SettingsError


@dataclass(frozen=True)
class Section:
    """A mapping and its path in the document.

    A mistake raises BundleError with file and line if the mapping is from the bundle's YAML, else a
    SettingsError that names the field. A value without a default is required. A `strict` section does not
    accept a number or a boolean as text: JSON APIs do not either.
    """

    values: Mapping[str, Any]
    path: str = ""
    strict: bool = False

    def text(self, key: str, default: str | None = None) -> str:
        """A scalar as text."""
        value = self.values.get(key)
        if self.strict and isinstance(value, (bool, int, float)):
            raise self.error(key, f"text is expected, not {kind_of(value)}")
        return self._scalar(key, default)

    def choice(self, key: str, valid: tuple[str, ...], default: str | None = None) -> str:
        """Text that is one of `valid`."""
        text = self.text(key, default)
        if text not in valid:
            raise self.error(key, f"one of {', '.join(valid)} is expected, not '{text}'")
        return text

    def flag(self, key: str, default: bool | None = None) -> bool:
        """A boolean, or a text that a variable may give for one."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise self.error(key, "it is missing")
            return default
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise self.error(key, f"true or false is expected, not {kind_of(value)}")

    def number(self, key: str, default: int | None = None, *, least: int = 0, most: int | None = None) -> int:
        """A whole number from `least` to `most`, or text that is one."""
        text = self._scalar(key, None if default is None else str(default))
        try:
            number = int(text)
        except ValueError:
            raise self.error(key, f"a whole number is expected, not '{text}'") from None
        if number < least:
            raise self.error(key, f"a whole number of at least {least} is expected, not {number}")
        if most is not None and number > most:
            raise self.error(key, f"at most {most} is expected")
        return number

    def section(self, key: str) -> Section:
        """The mapping under `key`, empty if there is none."""
        value = self.values.get(key)
        if value is None:
            empty = YamlMap(mark) if (mark := self.mark(key)) else {}
            return replace(self, values=empty, path=self.field(key))
        if not isinstance(value, dict):
            raise self.error(key, f"a mapping is expected, not {kind_of(value)}")
        return replace(self, values=value, path=self.field(key))

    def sections(self, key: str) -> list[Section]:
        """The mappings in the list under `key`."""
        found = []
        for position, item in enumerate(self._list(key)):
            field = f"{self.field(key)}[{position}]"
            if not isinstance(item, dict):
                raise self._error_at(
                    field, self._item_mark(key, position), f"a mapping is expected, not {kind_of(item)}"
                )
            found.append(replace(self, values=item, path=field))
        return found

    def texts(self, key: str) -> tuple[str, ...]:
        """The scalars in the list under `key`, as text."""
        for position, item in enumerate(self._list(key)):
            if not isinstance(item, str if self.strict else (str, bool, int, float)):
                raise self._error_at(
                    f"{self.field(key)}[{position}]",
                    self._item_mark(key, position),
                    f"text is expected, not {kind_of(item)}",
                )
        return tuple(as_text(item) for item in self._list(key))

    def text_map(self, key: str) -> dict[str, str]:
        """The mapping under `key`, its values scalars as text."""
        found = self.section(key)
        return {name: found.text(name, None if self.strict else "") for name in found.values}

    def field(self, key: str) -> str:
        """The full name of the field `key`."""
        return f"{self.path}.{key}" if self.path else key

    def mark(self, key: str) -> Mark | None:
        """The location of the value under `key`; None outside of YAML."""
        if not isinstance(self.values, YamlMap):
            return None
        return self.values.marks.get(key, self.values.mark)

    def error(self, key: str, problem: str) -> LakerunError:
        """An error about the value under `key`."""
        return self._error_at(self.field(key), self.mark(key), problem)

    def _scalar(self, key: str, default: str | None) -> str:
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise self.error(key, "it is missing")
            return default
        if isinstance(value, (dict, list)):
            raise self.error(key, f"text is expected, not {kind_of(value)}")
        return as_text(value)

    def _list(self, key: str) -> list[Any]:
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.error(key, f"a list is expected, not {kind_of(value)}")
        return value

    def _item_mark(self, key: str, position: int) -> Mark | None:
        value = self.values[key]
        return value.marks[position] if isinstance(value, YamlList) else None

    def _error_at(self, field: str, mark: Mark | None, problem: str) -> LakerunError:
        return BundleError(f"{field}: {problem}", location=mark) if mark else SettingsError(field, problem)
