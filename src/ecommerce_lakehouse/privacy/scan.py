"""Looks for people in every file of a folder, decoded: `scan`. Nothing that it returns names anybody."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ecommerce_lakehouse.privacy.decoding import NOT_DECODED, Decoded
from ecommerce_lakehouse.privacy.needles import Needles


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScannedFile(_Frozen):
    """One file: its path within the folder, size, SHA-256 of its bytes, and how it was decoded."""

    path: str
    size: int
    sha256: str
    how: str


class Finding(_Frozen):
    """Where somebody is still named: a file, a place in it, and the kinds of identifier there."""

    path: str
    where: str
    kinds: tuple[str, ...]


class Scan(_Frozen):
    """What was looked through, and what was found. It proves an erasure if `clean`."""

    files: tuple[ScannedFile, ...]
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        """Whether nobody was found, and no file was left that cannot be decoded."""
        return not self.findings

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def scan(
    root: Path,
    needles: Needles,
    *,
    skip: Collection[Path] = (),
    on_file: Callable[[Path], None] = lambda path: None,
) -> Scan:
    """Look for the identifiers in every file below `root`, in its name as in its content.

    `skip` are files that are not looked at. `on_file` is called before each one. A file that cannot be read,
    or whose format hides text, is a finding: the scan does not vouch for what it has not seen.
    """
    files, findings = [], []
    for path in list(every_file(root)):
        if path in skip or not (path.is_symlink() or path.exists()):  # a database's side file may have gone
            continue
        on_file(path)
        name = str(path.relative_to(root))
        if kinds := needles.kinds_of(needles.found(name)):
            findings.append(Finding(path=name, where="its name", kinds=tuple(kinds)))
        file, found = _file(path, name, needles)
        files.append(file)
        findings.extend(found)
    return Scan(files=tuple(files), findings=tuple(findings))


def every_file(root: Path) -> Iterator[Path]:
    """Every file and link below a folder, hidden ones included, in order of their paths."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted([*names, *(each for each in folders if Path(folder, each).is_symlink())]):
            yield Path(folder, name)


def _file(path: Path, name: str, needles: Needles) -> tuple[ScannedFile, list[Finding]]:
    decoded, findings, size, digest = Decoded(path), [], 0, ""
    try:
        size, digest = _digest(path)
        for piece in decoded:
            column = piece.where.rpartition(": ")[2]
            if kinds := needles.kinds_of(needles.among(piece.texts, column)):
                findings.append(Finding(path=name, where=piece.where, kinds=tuple(kinds)))
    except Exception as error:  # pyarrow, zlib and the like raise errors of their own for a damaged file
        findings.append(Finding(path=name, where=f"cannot be read: {type(error).__name__}", kinds=()))
    if NOT_DECODED in decoded.how.split(", "):
        findings.append(Finding(path=name, where="its format cannot be decoded", kinds=()))
    unique = list(dict.fromkeys(findings))
    return ScannedFile(path=name, size=size, sha256=digest, how=decoded.how), unique


def _digest(path: Path) -> tuple[int, str]:
    if path.is_symlink():
        target = os.fsencode(path.readlink())
        return len(target), hashlib.sha256(target).hexdigest()
    with path.open("rb") as file:
        return path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest()
