"""Requests drawn from the workspace's OpenAPI document, and what they may not lead to."""

from __future__ import annotations

import copy
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode

from lakerun.jobs.tasks import TaskOutcome
from workspace.lab import TOKEN, LocalWorkspace

VARIANTS = 5  # of each drawn request, as drawing one takes longer than its answer
SECONDS = 10  # for an answer; the longest wait of a statement is set to 0
AWKWARD: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, 10**400, 1e308, "", " ", ".", "..", "../../x", "/", "/etc/passwd",
    "a\x00b", "\ufffd", "\ud800", "%2e%2e%2f", "%", "%25" * 50, "x" * 300, "\xe9" * 200, "\u0661", "\u00b2",
    "'", '"', "a.b.c", "a" * 5000, "{{job.id}}", "dbfs:/Volumes/../../x", "/Volumes/main/../../x",
    [], [[]], {}, {"": None}, [None], ["a", 1],
)  # fmt: skip
# Events of Python's that change files, and where in their arguments the paths are.
CHANGES = {
    "os.mkdir": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "os.remove": 1, "os.rmdir": 1,
    "os.chmod": 1, "os.truncate": 1, "shutil.rmtree": 1, "shutil.move": 2, "shutil.copyfile": 2,
}  # fmt: skip


class Escapes:
    """Changes of files outside of a folder by this process, as Python's audit hook sees them."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._inside: Path | None = None
        sys.addaudithook(self._see)

    @contextmanager
    def watching(self, inside: Path) -> Iterator[None]:
        self._inside = inside.resolve()
        try:
            yield
        finally:
            self._inside = None

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._inside is None:
            return
        if event == "open":
            path, mode, flags = arguments
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            paths = [path] if writes or (isinstance(mode, str) and set(mode) & set("wax+")) else []
        else:
            paths = list(arguments[: CHANGES.get(event, 0)])
        for path in paths:
            # shutil.rmtree reports its folder, and then names that are relative to open folders.
            if not isinstance(path, str | bytes | os.PathLike):
                continue
            text = os.fsdecode(path)
            if text.startswith("/") and self._is_outside(text):
                self.found.append(f"{event} {path!r}")

    def _is_outside(self, path: str) -> bool:
        assert self._inside is not None
        if path.startswith("/dev/") or "hypothesis" in path or "__pycache__" in path:
            return False
        return not Path(os.path.realpath(path)).is_relative_to(self._inside)


class Fuzz:
    """A workspace with one object of each kind, and the answers that it gave to drawn requests."""

    def __init__(self, workspace: LocalWorkspace, escapes: Escapes) -> None:
        self.workspace = workspace
        self.escapes = escapes
        self.codes: Counter[int] = Counter()
        self.slowest = 0.0
        self.failures: list[str] = []
        self._session = requests.Session()
        self._session.headers["Authorization"] = f"Bearer {TOKEN}"
        # A drawn task must not start a process or install the packages that it names.
        workspace.services.compute.execute = lambda *_: TaskOutcome(error="not run")  # type: ignore[method-assign]
        self.known = self._objects()
        document = self._session.get(f"{workspace.url}/openapi.json", timeout=20).json()
        self.schema = schemathesis.openapi.from_dict(document)

    def operations(self) -> list[Any]:
        return [found.ok() for found in self.schema.get_all_operations()]

    def run(self, examples: int, number: int, operations: list[Any], until: float | None = None) -> None:
        """Send drawn requests of these operations: `examples`, or until a time."""
        modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        cases = st.one_of([operation.as_strategy(mode) for operation in operations for mode in modes])

        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, st.randoms(use_true_random=False))
        def send(case: Case, random: Any) -> None:
            drawn = (case.path_parameters, case.query, case.body)
            for _ in range(VARIANTS):
                case.path_parameters, case.query, case.body = copy.deepcopy(drawn)
                self._bend_case(case, random)
                if until is None or time.monotonic() < until:
                    self.send(case)

        send()

    def send(self, case: Case) -> None:
        """Send one request and note what is wrong with its answer."""
        begin = time.monotonic()
        escaped = len(self.escapes.found)
        said = f"{case.method} {case.path} {case.path_parameters} {case.query} {str(case.body)[:500]}"
        try:
            answer = case.call(
                base_url=self.workspace.url, session=self._session, timeout=SECONDS, allow_redirects=False
            )
        except requests.Timeout:
            self.failures.append(f"no answer in {SECONDS} s: {said}")
            return
        except (requests.RequestException, UnicodeError, ValueError, TypeError, OverflowError):
            self.codes[0] += 1  # the client cannot write such a request
            return
        self.codes[answer.status_code] += 1
        self.slowest = max(self.slowest, time.monotonic() - begin)
        if answer.status_code >= 500 and answer.status_code != 501:
            self.failures.append(f"{answer.status_code} {answer.text[:200]}: {said}")
        if len(self.escapes.found) > escaped:
            self.failures.append(f"escaped, {self.escapes.found[escaped:]}: {said}")

    def _bend_case(self, case: Case, random: Any) -> None:
        """Replace some values by awkward ones, or by ids of objects that exist."""
        for values in (case.path_parameters, case.query):
            for name in list(values or {}):
                if random.random() < 0.5:
                    values[name] = str(self._value(name, random, texts=True))
        if isinstance(case.body, dict):
            self._bend(case.body, random, 0)
            if case.body.get("wait_timeout") not in (None, "0s") and random.random() < 0.9:
                case.body["wait_timeout"] = "0s"

    def _bend(self, body: Any, random: Any, depth: int) -> None:
        keys = list(body) if isinstance(body, dict) else range(len(body))
        for key in keys:
            if isinstance(body[key], dict | list) and body[key] and random.random() < 0.7 and depth < 5:
                self._bend(body[key], random, depth + 1)
            elif random.random() < 0.25:
                body[key] = self._value(str(key), random)

    def _value(self, name: str, random: Any, texts: bool = False) -> Any:
        known = self.known.get(name)
        if known is not None and random.random() < 0.7:
            return random.choice(known)
        values = [value for value in AWKWARD if isinstance(value, str | int)] if texts else AWKWARD
        return random.choice(values)

    def _post(self, endpoint: str, /, **body: Any) -> dict[str, Any]:
        answer = self._session.post(f"{self.workspace.url}{endpoint}", json=body, timeout=20)
        assert answer.ok, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def _objects(self) -> dict[str, list[Any]]:
        """One object of each kind; the ids and names by the fields that refer to them."""
        script = {"task_key": "load", "spark_python_task": {"python_file": "/Workspace/Shared/load.py"}}
        job = self._post("/api/2.2/jobs/create", name="drawn", tasks=[script])["job_id"]
        run = self._post("/api/2.2/jobs/run-now", job_id=job)["run_id"]
        pipeline = self._post("/api/2.0/pipelines", name="drawn", catalog="main", schema="drawn")[
            "pipeline_id"
        ]
        self._post("/api/2.1/unity-catalog/schemas", name="drawn", catalog_name="main")
        volume = {"name": "raw", "catalog_name": "main", "schema_name": "drawn", "volume_type": "MANAGED"}
        self._post("/api/2.1/unity-catalog/volumes", **volume)
        self._post("/api/2.0/secrets/scopes/create", scope="drawn")
        self._post("/api/2.0/workspace/mkdirs", path="/Shared/drawn")
        warehouse = self._post("/api/2.0/sql/warehouses", name="drawn")["id"]
        cluster = self._post("/api/2.1/clusters/create", spark_version="15.4.x-scala2.12")["cluster_id"]
        app = self._post("/api/2.0/apps?no_compute=true", name="drawn")["name"]
        dashboard = self._post("/api/2.0/lakeview/dashboards", display_name="drawn")["dashboard_id"]
        alert = self._post(
            "/api/2.0/alerts",
            display_name="drawn",
            query_text="SELECT 1 AS n",
            warehouse_id=warehouse,
            evaluation={
                "source": {"name": "n"},
                "comparison_operator": "EQUAL",
                "threshold": {"value": {"double_value": 1}},
            },
            schedule={"quartz_cron_schedule": "0 0 3 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"},
        )["id"]
        statement = self._post(
            "/api/2.0/sql/statements", statement="SELECT 1", warehouse_id=warehouse, wait_timeout="0s"
        )["statement_id"]
        return {
            "job_id": [job, str(job)],
            "run_id": [run],
            "pipeline_id": [pipeline],
            "cluster_id": [cluster],
            "app_name": [app],
            "no_compute": [True],
            "warehouse_id": [warehouse],
            "id": [warehouse, dashboard, alert, statement, "1"],
            "kind": ["Users", "Groups", "ServicePrincipals"],
            "object_type": ["jobs", "pipelines", "directories", "clusters", "apps", "sql/warehouses"],
            "object_id": [str(job), pipeline, cluster, app, warehouse],
            "securable_type": ["catalog", "schema", "volume", "table"],
            "full_name": ["main", "main.drawn", "main.drawn.raw", "main.drawn.other"],
            "catalog_name": ["main"],
            "schema_name": ["drawn"],
            "scope": ["drawn"],
            "key": ["password"],
            "path": [
                "/Shared/drawn",
                "/Shared/drawn/file",
                "Volumes/main/drawn/raw/file",
                "Volumes/main/drawn/raw",
            ],
            "page_token": ["1", "20", "e30="],
            "filter": ["name LIKE '%a%a%a%'", "userName eq 'x'", "level = 'INFO'"],
            "order_by": ["timestamp asc", " "],
            "update_mask": ["*", "schedule", "evaluation.threshold", "display_name.x", "description"],
            "statement": ["SELECT 1", "SELECT * FROM main.drawn.other", "SELECT"],
            "wait_timeout": ["0s"],
            "quartz_cron_schedule": ["0 0 3 * * ?", "0 0 0 31 2 ? *", "* * * * * ?"],
            "quartz_cron_expression": ["0 0 3 * * ?", "0 0 0 31 2 ? *"],
        }


def together(action: Callable[[int], None], threads: int) -> None:
    """Run `action(number)` in several threads at once, and wait for all of them."""
    running = [threading.Thread(target=action, args=(number,)) for number in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
