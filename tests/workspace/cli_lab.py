"""The real `databricks` CLI on a copy of this project, against a server that can be killed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAKEHOUSE = Path(sys.executable).with_name("lakehouse")
WITHOUT_CLI = "the databricks CLI is neither on PATH nor named by LAKEHOUSE_TEST_CLI"
TARGETS = ("dev", "staging", "prod")


def databricks_cli() -> str | None:
    """The CLI to test with, if there is one."""
    return os.environ.get("LAKEHOUSE_TEST_CLI") or shutil.which("databricks")


class CliLab:
    """A project folder, a data folder, and what a developer types."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "project"
        self.runtime_wheel = self.project / "lakerun" / "dist" / "lakerun-0.1.0-py3-none-any.whl"
        self.home = folder / "home"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("DATABRICKS_")},
            "LAKEHOUSE_HOME": str(self.home),
            "DATABRICKS_CACHE_DIR": str(folder / "cache"),
            "DATABRICKS_CONFIG_FILE": str(folder / "no-profiles"),
        }
        self.seconds: list[tuple[str, float]] = []
        copy_project(self.project)
        # The runtime's own build, which no deployment deletes or uploads.
        self.runtime_wheel.parent.mkdir()
        self.runtime_wheel.write_bytes(b"")

    def start(self, port: int = 0) -> None:
        """Start the workspace; the CLI's commands go there from now on."""
        printed = self._run([LAKEHOUSE, "workspace", "start", "--port", str(port)], self.home.parent).stdout
        for line in printed.splitlines():
            key, _, value = line.removeprefix("export ").partition("=")
            self.environment[key] = value

    def stop(self) -> None:
        self._run([LAKEHOUSE, "workspace", "stop"], self.home.parent)

    @property
    def port(self) -> int:
        return int(self.environment["DATABRICKS_HOST"].rpartition(":")[2])

    @property
    def log(self) -> Path:
        return self.home / "logs" / "workspace.log"

    def requests(self) -> int:
        """How many requests the server has answered so far."""
        return len(re.findall(r" (?:GET|PUT|POST|PATCH|DELETE) /", self.log.read_text(encoding="utf-8")))

    def bundle(self, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """`databricks bundle ...` in the project; its time is recorded."""
        begin = time.monotonic()
        done = self._run([str(databricks_cli()), "bundle", *args], self.project, code)
        self.seconds.append((" ".join(args), time.monotonic() - begin))
        return done

    def start_bundle(self, *args: str) -> subprocess.Popen[bytes]:
        """The same in the background."""
        return subprocess.Popen(
            [str(databricks_cli()), "bundle", *args],
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill_server(self) -> None:
        """kill -9, as a crash."""
        import json

        info = json.loads((self.home / "workspace" / "server.json").read_text(encoding="utf-8"))
        os.kill(info["pid"], signal.SIGKILL)

    def _run(self, command: list[object], folder: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done


def copy_project(to: Path) -> None:
    """This checkout's files, with uncommitted ones and without those that git ignores."""
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, to / name)


def state(lab: CliLab) -> dict[str, dict[str, object]]:
    """Documents of deployed resources; a dashboard that was deleted stays in the trash."""
    from lakerun.workspace.store import Store

    store = Store(lab.home / "workspace" / "state.db")
    kinds = ("job", "pipeline", "schema", "volume", "permission", "grant", "creation", "dashboard", "alert")
    found = {
        kind: [body for body in store.list(kind) if body.get("lifecycle_state") != "TRASHED"]
        for kind in kinds
    }
    store.close()
    return {
        kind: {str(number): body for number, body in enumerate(bodies)}
        for kind, bodies in found.items()
        if bodies
    }
