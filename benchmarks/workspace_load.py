"""Load on the local workspace: clients that list, import and poll at once; latencies and errors.

    uv run python -m benchmarks.workspace_load --clients 50 --seconds 60

Starts a workspace of its own; with `--attach` it uses the one that DATABRICKS_HOST and DATABRICKS_TOKEN name,
such as one with a run in progress, and polls its newest runs too.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

FOLDER = "/Workspace/Users/developer@example.com/load"
FILE_BYTES = 20_000


@dataclass
class Measured:
    """Seconds by operation, what went wrong, and what each imported file must hold."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    errors: Counter[str] = field(default_factory=Counter)
    files: dict[str, str] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--attach", action="store_true", help="use the workspace that the environment names")
    arguments = parser.parse_args()
    if arguments.attach:
        host, token = os.environ["DATABRICKS_HOST"], os.environ["DATABRICKS_TOKEN"]
        return asyncio.run(_load(host, token, arguments.clients, arguments.seconds))
    from lakerun.tables.storage import Storage
    from lakerun.workspace import server

    with tempfile.TemporaryDirectory() as home:
        storage = Storage(Path(home))
        info = server.start(storage, "127.0.0.1", 0)
        try:
            load = _load(info.url, server.token(storage), arguments.clients, arguments.seconds)
            return asyncio.run(load)
        finally:
            server.stop(storage)


async def _load(host: str, token: str, clients: int, seconds: float) -> int:
    measured = Measured()
    limits = httpx.Limits(max_connections=clients, max_keepalive_connections=clients)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=host, headers=headers, limits=limits, timeout=60) as http:
        jobs = await _prepare(http)
        end = time.monotonic() + seconds
        await asyncio.gather(*(_client(number, http, jobs, end, measured) for number in range(clients)))
        damaged = await _damaged(http, measured)
    _report(measured, clients, seconds, damaged)
    return 1 if measured.errors or damaged else 0


async def _prepare(http: httpx.AsyncClient) -> list[int]:
    (await http.post("/api/2.0/workspace/mkdirs", json={"path": FOLDER})).raise_for_status()
    jobs = []
    for number in range(20):
        answer = await http.post("/api/2.2/jobs/create", json={"name": f"load-{number}"})
        jobs.append(answer.raise_for_status().json()["job_id"])
    return jobs


async def _client(
    number: int, http: httpx.AsyncClient, jobs: list[int], end: float, measured: Measured
) -> None:
    """One developer's session: imports of their own files, lists and polls, one after the other."""
    chance = random.Random(number)
    folder = f"{FOLDER}/{number}"
    (await http.post("/api/2.0/workspace/mkdirs", json={"path": folder})).raise_for_status()

    async def import_file() -> httpx.Response:
        path, content = f"{folder}/{chance.randrange(20)}.bin", chance.randbytes(FILE_BYTES)
        address = f"/api/2.0/workspace-files/import-file{path}?overwrite=true"
        answer = await http.post(address, content=content)
        if answer.is_success:
            measured.files[path] = hashlib.sha256(content).hexdigest()
        return answer

    operations: dict[str, Callable[[], Awaitable[httpx.Response]]] = {
        "import": import_file,
        "list files": lambda: http.get("/api/2.0/workspace/list", params={"path": folder}),
        "list jobs": lambda: http.get("/api/2.2/jobs/list", params={"expand_tasks": "true"}),
        "poll job": lambda: http.get("/api/2.2/jobs/get", params={"job_id": chance.choice(jobs)}),
        "poll runs": lambda: http.get("/api/2.2/jobs/runs/list", params={"limit": 5}),
    }
    while time.monotonic() < end:
        name = chance.choice(list(operations))
        begin = time.perf_counter()
        try:
            answer = await operations[name]()
            problem = None if answer.is_success else f"{name}: {answer.status_code} {answer.text[:80]}"
        except httpx.HTTPError as error:
            problem = f"{name}: {type(error).__name__}"
        measured.seconds[name].append(time.perf_counter() - begin)
        if problem:
            measured.errors[problem] += 1


async def _damaged(http: httpx.AsyncClient, measured: Measured) -> list[str]:
    """Imported files that do not read back as they were last written."""
    damaged = []
    for path, digest in measured.files.items():
        answer = await http.get(f"/api/2.0/workspace-files{path}")
        if hashlib.sha256(answer.content).hexdigest() != digest:
            damaged.append(path)
    return damaged


def _report(measured: Measured, clients: int, seconds: float, damaged: list[str]) -> None:
    total = sum(map(len, measured.seconds.values()))
    print(f"{clients} clients, {seconds:.0f} s: {total} requests, {total / seconds:.0f} a second")
    everything = [value for values in measured.seconds.values() for value in values]
    for name, values in [*sorted(measured.seconds.items()), ("all", everything)]:
        values = sorted(values)
        half, most = (values[int(len(values) * share)] * 1000 for share in (0.5, 0.99))
        print(f"  {name:10} {len(values):6}  p50 {half:6.0f} ms  p99 {most:6.0f} ms")
    print(f"  errors: {sum(measured.errors.values())}; files: {len(measured.files)}, damaged: {len(damaged)}")
    for problem, number in measured.errors.most_common(5):
        print(f"    {number} x {problem}")


if __name__ == "__main__":
    sys.exit(main())
