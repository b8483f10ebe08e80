"""The statement execution API: SQL over the lakehouse's Delta tables, in threads, without Spark."""

from __future__ import annotations

import itertools
import logging
import re
import threading
import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from lakerun.errors import LakerunError
from lakerun.sql.errors import WriteRefusedError, condition_of
from lakerun.sql.parameters import Parameter
from lakerun.sql.query import Interrupt, query
from lakerun.tables.storage import Storage
from lakerun.workspace.errors import ApiError, invalid, missing
from lakerun.workspace.services.sql.sql_values import Row, result_schema, text_rows
from lakerun.workspace.services.sql.statement_requests import StatementRequest
from lakerun.workspace.services.sql.warehouses import Warehouses
from lakerun.workspace.store import Document

logger = logging.getLogger(__name__)
INLINE_BYTES = 25 * 2**20  # Databricks' limit for INLINE; a larger result fails
CHUNK_BYTES = 4 * 2**20
KEPT_SECONDS = 3600  # how long the result of a finished statement is kept
THREADS = 4
WRITES = "This warehouse only reads; change tables with a pipeline or a job."


@dataclass
class _Result:
    schema: Document
    chunks: list[list[Row]]
    truncated: bool


@dataclass
class _Statement:
    id: str
    request: StatementRequest
    interrupt: Interrupt = field(default_factory=Interrupt)
    state: str = "PENDING"
    error: Document = field(default_factory=dict)
    result: _Result | None = None
    finished: float = 0
    future: Future[None] | None = None


class Statements:
    """The statements since the server's start; results are kept for an hour."""

    def __init__(self, storage: Storage, warehouses: Warehouses) -> None:
        self._storage = storage
        self._warehouses = warehouses
        self._lock = threading.Lock()
        self._statements: dict[str, _Statement] = {}
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="statement")

    def close(self) -> None:
        """Stop running statements."""
        for statement in list(self._statements.values()):
            statement.interrupt.stop()
        self._pool.shutdown(cancel_futures=True)

    def execute(self, request: StatementRequest) -> Document:
        """Start a statement and wait for it as long as the request says."""
        if request.disposition != "INLINE":
            raise invalid("disposition: EXTERNAL_LINKS is not part of the local workspace; use INLINE.")
        if request.format != "JSON_ARRAY":
            raise invalid(f"format: {request.format} needs EXTERNAL_LINKS; INLINE has JSON_ARRAY.")
        seconds = _seconds(request.wait_timeout)
        self._warehouses.use(request.warehouse_id)
        statement = _Statement(str(uuid.uuid4()), request)
        with self._lock:
            self._forget_old()
            self._statements[statement.id] = statement
        statement.future = self._pool.submit(self._run, statement)
        if seconds:
            _, unfinished = wait([statement.future], timeout=seconds)
            if unfinished and request.on_wait_timeout == "CANCEL":
                self.cancel(statement.id)
        return self._shown(statement)

    def get(self, id: str) -> Document:
        """The state and, after success, the manifest and the first chunk."""
        return self._shown(self._find(id))

    def chunk(self, id: str, index: int) -> Document:
        """One chunk of a result, by its number from 0."""
        statement = self._find(id)
        if statement.result is None:
            raise ApiError("INVALID_STATE", f"Statement {id} has no result: it is {statement.state}.")
        if not 0 <= index < len(statement.result.chunks):
            raise invalid(f"chunk_index: {index} is not between 0 and {len(statement.result.chunks) - 1}.")
        return _chunk(statement, index)

    def cancel(self, id: str) -> None:
        """Cancel a statement that has not finished."""
        statement = self._find(id)
        with self._lock:
            if statement.state in ("PENDING", "RUNNING"):
                statement.state = "CANCELED"
                statement.finished = time.monotonic()
        statement.interrupt.stop()

    def _find(self, id: str) -> _Statement:
        statement = self._statements.get(id)
        if statement is None:
            raise missing("Statement", id)
        return statement

    def _forget_old(self) -> None:
        now = time.monotonic()
        for id, statement in list(self._statements.items()):
            if statement.finished and now - statement.finished > KEPT_SECONDS:
                del self._statements[id]

    def _run(self, statement: _Statement) -> None:
        if not self._advance(statement, "RUNNING"):
            return
        try:
            statement.result = self._answer(statement)
            self._advance(statement, "SUCCEEDED")
        except InterruptedError:
            self._advance(statement, "CANCELED")
        except LakerunError as error:
            self._fail(statement, error_of(error))
        except Exception as error:
            logger.exception("a statement failed")
            self._fail(statement, ({"error_code": "INTERNAL_ERROR", "message": repr(error)[:2000]}, None))

    def _answer(self, statement: _Statement) -> _Result:
        request = statement.request
        limit = request.row_limit
        table = query(
            request.statement,
            self._storage,
            catalog=request.catalog,
            schema=request.schema_,
            limit=None if limit is None else limit + 1,
            parameters=[Parameter(p.name, p.value, p.type or "STRING") for p in request.parameters],
            interrupt=statement.interrupt,
        )
        truncated = limit is not None and table.num_rows > limit
        chunks: list[list[Row]] = []
        total = size = 0
        for row in itertools.islice(text_rows(table), limit):
            row_bytes = sum(len(value or "") + 3 for value in row)
            total += row_bytes
            if request.byte_limit is not None and total > request.byte_limit:
                truncated = True
                break
            if total > INLINE_BYTES:
                raise LakerunError(
                    f"The result is larger than {INLINE_BYTES} bytes, the limit of INLINE. "
                    "Select fewer rows or columns."
                )
            if not chunks or size + row_bytes > CHUNK_BYTES:
                chunks.append([])
                size = 0
            chunks[-1].append(row)
            size += row_bytes
            if statement.interrupt.set:
                raise InterruptedError
        return _Result(result_schema(table.schema), chunks, truncated)

    def _advance(self, statement: _Statement, state: str) -> bool:
        """Set the state, unless the statement was canceled meanwhile; returns whether it was set."""
        with self._lock:
            if statement.state == "CANCELED":
                statement.result = None
                return False
            statement.state = state
            if state != "RUNNING":
                statement.finished = time.monotonic()
            return True

    def _fail(self, statement: _Statement, failure: tuple[Document, str | None]) -> None:
        error, sql_state = failure
        statement.error = {"error": error} | ({"sql_state": sql_state} if sql_state else {})
        self._advance(statement, "FAILED")

    def _shown(self, statement: _Statement) -> Document:
        with self._lock:
            state, result = statement.state, statement.result
        status = {"state": state} | (statement.error if state == "FAILED" else {})
        shown: Document = {"statement_id": statement.id, "status": status}
        if state == "SUCCEEDED" and result is not None:
            shown["manifest"] = _manifest(result)
            shown["result"] = _chunk(statement, 0) if result.chunks else {}
        return shown


def error_of(error: LakerunError) -> tuple[Document, str | None]:
    """A statement's `error`, and its SQLSTATE if Databricks has one."""
    message = f"{error} {WRITES}" if isinstance(error, WriteRefusedError) else str(error)
    condition = condition_of(error)
    if condition is None:
        return {"error_code": "BAD_REQUEST", "message": message}, None
    text = f"[{condition.name}] {message} SQLSTATE: {condition.sql_state}"
    return {"error_code": "BAD_REQUEST", "message": text}, condition.sql_state


def _manifest(result: _Result) -> Document:
    offsets = list(itertools.accumulate((len(chunk) for chunk in result.chunks), initial=0))
    chunks = [
        {"chunk_index": index, "row_offset": offsets[index], "row_count": len(chunk)}
        for index, chunk in enumerate(result.chunks)
    ]
    return {
        "format": "JSON_ARRAY",
        "schema": result.schema,
        "total_chunk_count": len(chunks),
        "total_row_count": offsets[-1],
        "truncated": result.truncated,
    } | ({"chunks": chunks} if chunks else {})


def _chunk(statement: _Statement, index: int) -> Document:
    assert statement.result is not None
    chunks = statement.result.chunks
    shown: Document = {
        "chunk_index": index,
        "row_offset": sum(len(chunk) for chunk in chunks[:index]),
        "row_count": len(chunks[index]),
        "data_array": chunks[index],
    }
    if index + 1 < len(chunks):
        shown["next_chunk_index"] = index + 1
        base = f"/api/2.0/sql/statements/{statement.id}/result/chunks/"
        shown["next_chunk_internal_link"] = (
            f"{base}{index + 1}?row_offset={shown['row_offset'] + shown['row_count']}"
        )
    return shown


def _seconds(wait_timeout: str) -> int:
    found = re.fullmatch(r"(\d{1,3})s", wait_timeout)
    seconds = int(found.group(1)) if found else -1
    if seconds != 0 and not 5 <= seconds <= 50:
        raise invalid(f"wait_timeout: '{wait_timeout}' is neither 0s nor between 5s and 50s.")
    return seconds
