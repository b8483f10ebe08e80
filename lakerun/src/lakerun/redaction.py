"""Redacts the secrets that this process has read in its output, logs and records: `redacted`."""

from __future__ import annotations

import io
import logging
from typing import Any, TextIO

REDACTED = "[REDACTED]"
# A multi-line secret, such as a key file, may be printed line by line; shorter lines reveal nothing.
LINE_CHARACTERS = 8
_known: set[str] = set()


def remember_secret(value: str) -> None:
    """From now on `redacted` replaces this value, and each long line of a multi-line value."""
    lines = [line for line in value.splitlines() if len(line) >= LINE_CHARACTERS]
    _known.update(part for part in (value, *lines) if part.strip())


def redacted(value: Any) -> Any:
    """`value` (text, or JSON as mappings and lists) without the secrets that this process has read."""
    return _without(value, sorted(_known.copy(), key=len, reverse=True)) if _known else value


class RedactingFormatter(logging.Formatter):
    """Keeps the secrets out of a log, also out of traces."""

    def format(self, record: logging.LogRecord) -> str:
        return str(redacted(super().format(record)))


class RedactingStream(io.TextIOBase):
    """Writes to another stream without the secrets."""

    def __init__(self, target: TextIO) -> None:
        self._target = target

    def write(self, text: str) -> int:
        self._target.write(redacted(text))
        return len(text)

    def flush(self) -> None:
        if not self._target.closed:  # at the end of its life, after its target
            self._target.flush()


def _without(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, REDACTED)
        return value
    if isinstance(value, dict):
        return {key: _without(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_without(item, secrets) for item in value)
    return value
