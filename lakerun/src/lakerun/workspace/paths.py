"""Checks paths that a client gives, and turns them into files that cannot be outside of their folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakerun.workspace.errors import ApiError, invalid

NAME_BYTES = 255
PATH_BYTES = 4000


def checked_names(path: object, field: str = "path") -> tuple[str, ...]:
    """The names of an absolute path such as `/Users/me/file.py`; repeated slashes count as one.

    Raises INVALID_PARAMETER_VALUE for `.` and `..`, backslashes and control characters, and for
    names and paths that are too long for a file system.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise invalid(f"{field}: must be an absolute path, such as /Users/me/file.py; given: {_shown(path)}.")
    names = tuple(name for name in path.split("/") if name)
    for name in names:
        if name in (".", ".."):
            raise invalid(f"{field}: must not contain '{name}'; given: {_shown(path)}.")
        if "\\" in name or any(ord(letter) < 32 or ord(letter) == 127 for letter in name):
            raise invalid(f"{field}: has a backslash or a control character; given: {_shown(path)}.")
        if _size(name, field) > NAME_BYTES:
            raise invalid(f"{field}: a name is longer than {NAME_BYTES} bytes; given: {_shown(path)}.")
    if _size(path, field) > PATH_BYTES:
        raise invalid(f"{field}: is longer than {PATH_BYTES} bytes.")
    return names


def file_inside(root: Path, names: tuple[str, ...], field: str = "path") -> Path:
    """The path of checked names below `root`, existing or not; PERMISSION_DENIED for a symbolic link."""
    base = os.path.realpath(root)
    path = os.path.join(base, *names)  # noqa: PTH118 (realpath has to compare with plain text)
    if os.path.realpath(path) != path:
        raise ApiError("PERMISSION_DENIED", f"{field}: /{'/'.join(names)} goes through a symbolic link.")
    return Path(path)


@contextmanager
def present(absent: ApiError) -> Iterator[None]:
    """Raises `absent` if a file in use here is deleted meanwhile."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise absent from None


def _size(text: str, field: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise invalid(f"{field}: is not valid Unicode.") from None


def _shown(path: object) -> str:
    text = ascii(path)
    return text if len(text) <= 200 else f"{text[:200]}..."
