"""`lakerun clean`: delete the contents of the data folder."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from lakerun.tables.storage import Storage

NAME = "clean"
EXAMPLES = (
    "Examples:\n\n{program} clean\n\n{program} clean --tables --yes   "
    "(keeps the raw files, so that the next run reads them all again)"
)

# A table without the checkpoints of its flows, or the other way round, would lose rows.
TABLE_FOLDERS = ("tables", "pipelines")
DATA_FOLDERS = ("volumes",)
OTHER_FOLDERS = ("logs", "scratch")


def command(
    tables: Annotated[
        bool, typer.Option("--tables", help="Only tables, checkpoints and pipeline state.")
    ] = False,
    data: Annotated[bool, typer.Option("--data", help="Only the volumes with the raw files.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete everything in the data folder, or only tables or raw files. Refused while a run is going on."""
    from lakerun.program import program
    from lakerun.tables.storage import Storage

    storage = Storage.default()
    folders = (TABLE_FOLDERS if tables else ()) + (DATA_FOLDERS if data else ())
    everything = not folders
    folders = folders or (*TABLE_FOLDERS, *DATA_FOLDERS, *OTHER_FOLDERS)
    found = [folder for folder in folders if (storage.home / folder).exists()]
    if not found:
        typer.echo(f"There is nothing to delete in {storage.home}.")
        return
    with storage.exclusive(program("clean")):
        if not yes:
            typer.confirm(f"Delete {', '.join(found)} in {storage.home}?", abort=True)
        for folder in found:
            shutil.rmtree(storage.home / folder)
    if everything:
        _remove_empty(storage)
    typer.echo(f"Deleted {', '.join(found)} in {storage.home}.")


def _remove_empty(storage: Storage) -> None:
    """The data folder itself, unless it has other files too."""
    from lakerun.tables.storage import GITIGNORE

    for name in ("lock", "lock.txt", GITIGNORE):
        (storage.home / name).unlink(missing_ok=True)
    if not any(storage.home.iterdir()):
        storage.home.rmdir()
