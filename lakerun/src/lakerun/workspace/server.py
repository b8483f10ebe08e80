"""The workspace's server process: `serve` runs it, the rest starts, finds and stops it from another process.

<home>/workspace/token         the token, created once, readable only by its owner
<home>/workspace/server.json   pid, host and port of the last server
<home>/workspace/lock          held by the running server
<home>/logs/workspace.log      requests, other actions and errors
"""

from __future__ import annotations

import ipaddress
import json
import logging
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from lakerun.errors import LakerunError
from lakerun.files import write_file
from lakerun.tables.storage import Storage

DEFAULT_PORT = 8474
START_SECONDS = 30
STOP_SECONDS = 15
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@dataclass(frozen=True)
class ServerInfo:
    """The process and the address of a server that runs or ran."""

    pid: int
    host: str
    port: int

    @property
    def url(self) -> str:
        return host_url(self.host, self.port)


def host_url(host: str, port: int) -> str:
    """The address for clients on this machine."""
    host = ANY_ADDRESS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def token(storage: Storage) -> str:
    """The workspace's token; created by the first call, readable only by its owner."""
    path = _folder(storage) / "token"
    if not path.exists():
        draft = path.with_name(f"token.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(f"dapi{secrets.token_hex(16)}")
        try:
            os.link(draft, path)  # if two servers start at once, the first wins
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")


def last_server(storage: Storage) -> ServerInfo | None:
    """The server in `server.json`, whether or not it still runs."""
    try:
        return ServerInfo(**json.loads((_folder(storage) / "server.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def running_server(storage: Storage) -> ServerInfo | None:
    """The running server, if any. A killed one no longer holds the lock, even if `server.json` names it."""
    lock = _lock(storage)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return last_server(storage)
    lock.release()
    return None


def start(storage: Storage, host: str, port: int | None) -> ServerInfo:
    """Start a server in the background and wait until it answers; LakerunError says why it did not start."""
    log = storage.log_path("workspace")
    command = [sys.executable, "-m", "lakerun.workspace.server", str(storage.home), host]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*command, str(choose_port(storage, host, port))],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        info = last_server(storage)
        if info is not None and info.pid == process.pid and answers(info):
            return info
        time.sleep(0.02)
    if process.poll() is None:
        process.kill()
    process.wait()
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise LakerunError(
        f"The workspace did not start: {lines[-1] if lines else 'no reason given'} (log: {log})"
    )


def choose_port(storage: Storage, host: str, port: int | None) -> int:
    """The given port, else the last server's, else the default; LakerunError if it is taken."""
    last = last_server(storage)
    chosen = port if port is not None else last.port if last else DEFAULT_PORT
    with bound(host, chosen):
        return chosen


def bound(host: str, port: int) -> socket.socket:
    """A socket on this address, not yet listening; LakerunError if the address is taken."""
    address = host.strip("[]") or "127.0.0.1"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # asyncio turns off Nagle's algorithm, which delays answers by 40 ms, only if the protocol is given.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise LakerunError(
            f"Cannot listen on {address}:{port}: {reason}. Choose another port with --port."
        ) from None
    return listener


def answers(info: ServerInfo) -> bool:
    """Whether this server, and not another one, answers at its address."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{info.url}/health", timeout=2) as answer:
            return bool(json.load(answer)["pid"] == info.pid)
    except (OSError, ValueError, KeyError):
        return False


def stop(storage: Storage) -> ServerInfo | None:
    """Stop the server, with SIGKILL if it does not end in time; None if no server runs."""
    info = running_server(storage)
    if info is None:
        return None
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(info.pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if running_server(storage) is None:
                return info
            time.sleep(0.05)
    raise LakerunError(f"Process {info.pid} does not end.")


def serve(storage: Storage, host: str, port: int) -> None:
    """Run the server in this process until it is told to stop."""
    import uvicorn

    from lakerun.workspace.app import create_app
    from lakerun.workspace.services import Services, Settings
    from lakerun.workspace.store import Store

    lock = _lock(storage)
    try:
        lock.acquire(timeout=2)
    except Timeout:
        raise LakerunError(f"A workspace is already running with {storage.home}.") from None
    with lock, bound(host, port) as listener:
        port = listener.getsockname()[1]
        settings = Settings(host_url(host, port), token(storage))
        services = Services(settings, storage, Store(_folder(storage) / "state.db"))
        config = uvicorn.Config(
            create_app(services), log_config=None, access_log=False, timeout_graceful_shutdown=5
        )
        listener.listen(config.backlog)
        info = ServerInfo(os.getpid(), host, port)
        write_file(_folder(storage) / "server.json", json.dumps(asdict(info)))
        logging.getLogger(__name__).info("Serving %s from %s", settings.host_url, storage.home)
        uvicorn.Server(config).run(sockets=[listener])


def _folder(storage: Storage) -> Path:
    folder = storage.home / "workspace"
    storage.make()
    folder.mkdir(exist_ok=True)
    return folder


def _lock(storage: Storage) -> FileLock:
    return FileLock(_folder(storage) / "lock")


def _signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to the server; SIGKILL also goes to its workers, which are in its process group."""
    try:
        if number == signal.SIGKILL and os.getpgid(pid) == pid:
            os.killpg(pid, number)
        else:
            os.kill(pid, number)
    except ProcessLookupError:
        pass


def _main() -> None:
    home, host, port = sys.argv[1:]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        serve(Storage(Path(home)), host, int(port))
    except LakerunError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main()
