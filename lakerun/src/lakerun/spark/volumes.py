"""Lets Spark find `/Volumes/...` in the data folder: `mount_settings`, `volumes_in_spark`.

Hadoop's view of several file systems maps the folder for everything that Spark opens itself: sources, Delta,
checkpoints, paths in SQL. In Spark's Python API, paths that cannot be used are refused in one line.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError
from lakerun.patches import CONNECT_PATHS, SPARK_PATHS, Patch, patched
from lakerun.spark.active_session import is_connect_mode
from lakerun.tables.samples import check_writable
from lakerun.tables.storage import Storage, name_parts
from lakerun.volumes import python_workers
from lakerun.volumes.paths import LEVELS, VOLUMES, WORKSPACE
from lakerun.volumes.python import mounted, volume_paths

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_VIEW = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
_LINK = "fs.viewfs.mounttable.default.link."
_PATH = re.compile(r"(?:dbfs:|(?:file:)?/+(?:Volumes|Workspace|dbfs)(?:/|$))")
_SCHEME = re.compile("file:/+")
# A path in the text of a statement: in backticks after a format, or a string after one of these words.
_IN_STATEMENT = re.compile(
    r"(?P<before>\.\s*|\b(?:LOCATION|DIRECTORY|INPATH|FROM|PATH|LIST)\s*[=(]?\s*"
    r"|['\"`]?\bpath\b['\"`]?\s*=?\s*|\bread_files\s*\(\s*)"
    r"(?P<quote>['\"`])(?P<path>(?:dbfs:|(?:file:)?/+(?:Volumes|Workspace|dbfs)/)[^'\"`]*)(?P=quote)",
    re.IGNORECASE,
)
VOLUME_STATEMENT = re.compile(
    r"\s*(?P<verb>CREATE|DROP)\s+VOLUME\s+(?P<if>IF\s+(?:NOT\s+)?EXISTS\s+)?(?P<name>[^\s;]+)"
    r"(?:\s+COMMENT\s+(?:'[^']*'|\"[^\"]*\"))?\s*;?\s*",
    re.IGNORECASE,
)


def mount_settings(storage: Storage) -> dict[str, str]:
    """Settings with which a new JVM finds the volumes of `storage` below `/Volumes`."""
    # Functions that Spark calls in Python processes of its own find them as well.
    python = {
        "spark.python.daemon.module": python_workers.__name__,
        "spark.executorEnv.LAKEHOUSE_HOME": str(storage.home),
    }
    if not _mountable(storage):
        return python
    settings = {
        "fs.file.impl": _VIEW,
        "fs.viewfs.overload.scheme.target.file.impl": "org.apache.hadoop.fs.LocalFileSystem",
        "fs.viewfs.mounttable.default.linkFallback": "file:///",
        **_links(storage),
    }
    return {
        **python,
        **{f"spark.hadoop.{key}": value for key, value in settings.items()},
        # What these two use instead by default goes around the view.
        "spark.sql.streaming.checkpointFileManagerClass": (
            "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
        ),
        "spark.delta.logStore.file.impl": "io.delta.storage.LocalLogStore",
    }


@contextmanager
def volumes_in_spark(session: SparkSession | None, storage: Storage) -> Iterator[None]:
    """In this context, the session and Python find the volumes of `storage` below `/Volumes`."""
    with ExitStack() as stack:
        stack.enter_context(mounted(storage))
        if session is not None:
            _mount(session, storage)
            stack.enter_context(patched(dict.fromkeys(_api(), _told)))
        yield


def spark_path(path: str) -> str:
    """The path to pass to Spark. Raises VolumeError for one that cannot be used."""
    if not _PATH.match(path) or (paths := volume_paths()) is None:
        return path
    local = paths.local(_SCHEME.sub("/", path))
    if local is None:
        return path
    return paths.shown(local) if _mountable(paths.storage) else local


def streamed_path(path: str) -> str:
    """The same for a folder whose files a stream reads.

    Its checkpoint has every file by its path on this machine, also in earlier releases.
    """
    paths = volume_paths()
    return paths.local(_SCHEME.sub("/", path)) or path if paths is not None and _PATH.match(path) else path


def with_volume_paths(statement: str) -> str:
    """The statement with the paths to pass to Spark."""
    return _IN_STATEMENT.sub(
        lambda found: f"{found['before']}{found['quote']}{spark_path(found['path'])}{found['quote']}",
        statement,
    )


def volume_statement(statement: str, storage: Storage) -> bool:
    """Carry out CREATE VOLUME or DROP VOLUME; False for any other statement."""
    found = VOLUME_STATEMENT.fullmatch(statement)
    if found is None:
        return False
    names = [part.lower() for part in name_parts(found["name"])]
    if len(names) != LEVELS or not all(re.fullmatch(r"[^\s/\\]+", name) and name != ".." for name in names):
        raise LakerunError(f"'{found['name']}' is not a volume's name: write <catalog>.<schema>.<volume>.")
    check_writable(names[0])
    folder = storage.volumes_root.joinpath(*names)
    creates = found["verb"].upper() == "CREATE"
    if folder.is_dir() == creates and not found["if"]:
        raise LakerunError(f"Volume '{'.'.join(names)}' {'already exists' if creates else 'does not exist'}.")
    if creates:
        folder.mkdir(parents=True, exist_ok=True)
    elif folder.is_dir():
        _delete(folder)
    return True


def _delete(folder: Any) -> None:
    import shutil

    shutil.rmtree(folder)


def _mountable(storage: Storage) -> bool:
    """Not on a disk of macOS, which would be hidden by the volumes: there the API maps the paths."""
    return storage.home.parts[:2] != ("/", "Volumes")


def _links(storage: Storage) -> dict[str, str]:
    places = {VOLUMES: storage.volumes_root, WORKSPACE: storage.home / "workspace" / "files"}
    return {f"{_LINK}{root}": place.absolute().as_uri() for root, place in places.items()}


def _mount(session: SparkSession, storage: Storage) -> None:
    """Let a JVM that was started for another data folder find this one's volumes."""
    context: Any = session.sparkContext
    settings = context._jsc.hadoopConfiguration()
    context.environment["LAKEHOUSE_HOME"] = str(storage.home)
    links = _links(storage)
    if not _mountable(storage) or all(settings.get(key) == value for key, value in links.items()):
        return
    for key, value in links.items():
        settings.set(key, value)
    context._jvm.org.apache.hadoop.fs.FileSystem.closeAll()  # they are opened again, with the new settings


def _told(original: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose texts and lists of texts may be paths."""

    def place(value: Any) -> Any:
        if isinstance(value, str):
            return spark_path(value)
        return [place(item) for item in value] if isinstance(value, list | tuple) else value

    @functools.wraps(original)
    def call(self: Any, *args: Any, **options: Any) -> Any:
        return original(self, *map(place, args), **{key: place(value) for key, value in options.items()})

    return call


def _api() -> tuple[Patch, ...]:
    return CONNECT_PATHS if is_connect_mode() else SPARK_PATHS
