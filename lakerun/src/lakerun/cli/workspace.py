"""`lakerun workspace`: the Databricks workspace on this machine; start, status, stop, reset."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lakerun.cli.app import CommandGroup
from lakerun.cli.project import JsonOption, SparkConnectOption
from lakerun.errors import FAILED

if TYPE_CHECKING:
    from lakerun.tables.storage import Storage
    from lakerun.workspace.server import ServerInfo

NAME = "workspace"
START_EXAMPLES = (
    'Examples:\n\neval "$({program} workspace start)"   (then: databricks bundle deploy)\n\n'
    "{program} workspace start --port 9000\n\n{program} workspace start --foreground"
)
# The resources of a deployment, by the kind of their documents in the workspace.
RESOURCES = (
    "job",
    "pipeline",
    "schema",
    "volume",
    "dashboard",
    "alert",
    "warehouse",
    "cluster",
    "secret_scope",
)
RUNS_LOOKED_AT = 200

app = typer.Typer(
    name=NAME,
    cls=CommandGroup,
    help="A Databricks workspace on this machine, for the databricks CLI and SDK.",
    epilog="Start with: {program} workspace start",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command("start", epilog=START_EXAMPLES)
def start(
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="By default the last one, at first 8474; 0 takes a free one."
        ),
    ] = None,
    host: Annotated[
        str,
        typer.Option("--host", help="Address to listen on; any but this machine's own gives a warning."),
    ] = "127.0.0.1",
    foreground: Annotated[
        bool,
        typer.Option("--foreground", help="Serve in this process, with its log on stderr, until Ctrl-C."),
    ] = False,
    spark_connect: SparkConnectOption = False,
) -> None:
    """Start the workspace and print the two lines that connect the databricks CLI and SDK to it."""
    from lakerun.spark.connect import VARIABLE
    from lakerun.tables.storage import Storage
    from lakerun.workspace import server

    if spark_connect:
        os.environ[VARIABLE] = "1"  # the server's workers read it
    storage = Storage.default()
    info = server.running_server(storage)
    if info is not None:
        typer.echo(f"The workspace is running already, as process {info.pid}.", err=True)
        if spark_connect:
            typer.echo("--spark-connect counts from its next start; stop it first.", err=True)
        _warn_of_others(info)
        _print_exports(storage, info.url)
        return
    if foreground:
        _serve(storage, host, port)
        return
    info = server.start(storage, host, port)
    typer.echo(f"The workspace is running, as process {info.pid}; its data is in {storage.home}.", err=True)
    typer.echo(f"Look at it in a browser: {_login_link(storage, info)}", err=True)
    _warn_of_others(info)
    _print_exports(storage, info.url)


@app.command("status")
def status(as_json: JsonOption = False) -> None:
    """Whether the workspace runs, and what is deployed in it. Exit code 0 when it runs, 1 when not."""
    from lakerun.cli.output import print_json
    from lakerun.formats import plural
    from lakerun.tables.storage import Storage
    from lakerun.workspace import server

    storage = Storage.default()
    info = server.running_server(storage)
    found = _deployed(storage)
    state: dict[str, Any] = {
        "running": info is not None,
        "healthy": info is not None and server.answers(info),
        "pid": info.pid if info else None,
        "url": info.url if info else None,
        "home": str(storage.home),
        **found,
    }
    if as_json:
        print_json(state)
    else:
        where = f"Running at {info.url}, process {info.pid}." if info else "Not running."
        if info and not state["healthy"]:
            where += " It does not answer; its log is in " + str(storage.log_path("workspace")) + "."
        typer.echo(where)
        counts = [
            plural(number, kind.replace("_", " ")) for kind, number in found["resources"].items() if number
        ]
        typer.echo(f"Deployed: {', '.join(counts) or 'nothing'}.")
        typer.echo(f"Going on: {plural(found['active_runs'], 'run')}.")
        if info:
            typer.echo(f"In a browser: {_login_link(storage, info)}")
    if info is None:
        raise typer.Exit(FAILED)


@app.command("stop")
def stop() -> None:
    """Stop the workspace. What is deployed stays; runs in progress are ended."""
    from lakerun.tables.storage import Storage
    from lakerun.workspace import server

    info = server.stop(Storage.default())
    typer.echo(f"Stopped process {info.pid}." if info else "The workspace is not running.")


@app.command("sign-out")
def sign_out() -> None:
    """End every browser's session; each must sign in again. The token stays."""
    from lakerun.formats import plural
    from lakerun.tables.storage import Storage
    from lakerun.workspace.pages.session import end_all
    from lakerun.workspace.store import Store

    path = Storage.default().home / "workspace" / "state.db"
    if not path.exists():
        typer.echo("No browser is signed in.")
        return
    store = Store(path)
    try:
        ended = end_all(store)
    finally:
        store.close()
    typer.echo(f"Ended {plural(ended, 'session')}." if ended else "No browser is signed in.")


@app.command("reset")
def reset(
    keep_tables: Annotated[
        bool, typer.Option("--keep-tables", help="Keep the tables and volumes of deployed schemas.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete all that is deployed, with its runs, files, tables and volumes; the token stays."""
    from lakerun.formats import plural
    from lakerun.tables.storage import Storage
    from lakerun.workspace import server
    from lakerun.workspace.reset import reset_workspace

    storage = Storage.default()
    if not (storage.home / "workspace" / "state.db").exists():
        typer.echo("There is nothing to reset.")
        return
    if not yes:
        counts = _deployed(storage)["resources"]
        listed = ", ".join(
            plural(number, kind.replace("_", " ")) for kind, number in counts.items() if number
        )
        rest = "; their tables stay" if keep_tables else ", with the tables and volumes of the schemas"
        typer.confirm(f"Delete {listed or 'the empty workspace'}{rest}?", abort=True, err=True)
    server.stop(storage)
    reset_workspace(storage, keep_tables=keep_tables)
    typer.echo("The workspace is empty.")


def _serve(storage: Storage, host: str, port: int | None) -> None:
    import logging

    from lakerun.workspace import server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    chosen = server.choose_port(storage, host, port)
    if chosen:
        _print_exports(storage, server.host_url(host, chosen))
        _warn_of_others(server.ServerInfo(0, host, chosen))
    server.serve(storage, host, chosen)


def _print_exports(storage: Storage, url: str) -> None:
    """The only lines on stdout, so that a shell can evaluate them."""
    from lakerun.workspace import server

    typer.echo(f"export DATABRICKS_HOST={url}")
    typer.echo(f"export DATABRICKS_TOKEN={server.token(storage)}")
    sys.stdout.flush()


def _login_link(storage: Storage, info: ServerInfo) -> str:
    """The link that signs a browser in. The token is in the fragment, which no server or log gets."""
    from lakerun.workspace import server
    from lakerun.workspace.pages.session import login_url
    from lakerun.workspace.services import Settings

    return login_url(Settings(host_url=info.url, token=server.token(storage)))


def _warn_of_others(info: ServerInfo) -> None:
    from lakerun.workspace.server import is_loopback

    if not is_loopback(info.host):
        typer.echo(
            f"Warning: it listens on {info.host}. Anyone who can reach this machine and has the token can "
            "run code on it, and the token travels unencrypted.",
            err=True,
        )


def _deployed(storage: Storage) -> dict[str, Any]:
    """The number of documents of each kind of resource, and of runs that have not ended."""
    from lakerun.workspace.services.jobs.run_documents import is_active
    from lakerun.workspace.store import Store

    path = storage.home / "workspace" / "state.db"
    if not path.exists():
        return {"resources": dict.fromkeys(RESOURCES, 0), "active_runs": 0}
    store = Store(path)
    try:
        counts = store.counts()
        runs = store.list("run", newest_first=True, limit=RUNS_LOOKED_AT)
    finally:
        store.close()
    active = sum(map(is_active, runs))
    return {"resources": {kind: counts.get(kind, 0) for kind in RESOURCES}, "active_runs": active}
