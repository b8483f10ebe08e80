"""Runs tasks in this process, on one warm Spark session: `LocalTaskRunner`."""

from __future__ import annotations

import ctypes
import importlib
import logging
import sys
import threading
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.bundles.review import check_supported
from lakerun.errors import LakerunError, UnknownNameError, typed_first_line
from lakerun.jobs.dbutils import (
    DbUtils,
    SecretProvider,
    current_dbutils,
    dbutils_module,
    environment_secret,
)
from lakerun.jobs.notebook_cells import notebook_file
from lakerun.jobs.notebooks import run_notebook
from lakerun.jobs.output import TaskOutput, captured
from lakerun.jobs.packages.installed import Packages, PackageSet
from lakerun.jobs.packages.notebook_packages import dependencies_of
from lakerun.jobs.task_names import TaskNames, runtime_module
from lakerun.jobs.task_process import own_imports, working_folder
from lakerun.jobs.tasks import TaskCall, TaskOutcome
from lakerun.jobs.time_limit import Result, within_limit
from lakerun.patches import importable
from lakerun.pipelines.results import Event
from lakerun.redaction import redacted
from lakerun.spark.active_session import (
    activate,
    classic_mode,
    connect_mode,
    no_longer_on_demand,
    session_on_demand,
)
from lakerun.spark.causes import readable
from lakerun.spark.connect import connect_session, tagged_jobs
from lakerun.spark.java import cache_root
from lakerun.spark.session import session_with
from lakerun.spark.task_tables import lakehouse_tables
from lakerun.spark.volumes import volumes_in_spark
from lakerun.tables.storage import Storage
from lakerun.volumes.python import mounted

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # without a log file, a trace must not reach the console

SessionProvider = Callable[[], "SparkSession | None"]
"""Gives the process's Spark session, which the first call starts; None if tasks run without Spark."""

OutputListener = Callable[[TaskCall, str], None]
"""Called with each line that a task prints, as it is printed."""

STOP_SECONDS = 10.0
POLL_SECONDS = 0.1
# Updates share the import path and Spark's decorators while their files load, and Spark's cores all the time.
_one_update = threading.Lock()


class TaskCanceled(BaseException):
    """Raised in a task's code to stop it."""


class LocalTaskRunner:
    """Runs attempts of tasks in threads of this process.

    Tasks run in parallel on one Spark session; updates of pipelines run one at a time. Each task has its own
    output, arguments and working directory, which is the folder of its script or notebook. Environment
    variables, `sys.path` and imported modules are the process's; what a task adds to the last two is removed
    when it ends. A task is stopped by canceling its Spark jobs and raising TaskCanceled in its code; code
    that notices neither, as in a long sleep, is abandoned after `stop_seconds`. Updates stop by themselves.
    `secrets` answers `dbutils.secrets.get`. Spark starts when a task's code first uses it. `say` gets a line
    when packages are installed. With `spark_connect` each wheel, script and notebook gets a session of Spark
    Connect.
    """

    def __init__(
        self,
        storage: Storage,
        get_session: SessionProvider,
        *,
        secrets: SecretProvider = environment_secret,
        stop_seconds: float = STOP_SECONDS,
        on_output: OutputListener = lambda call, line: None,
        say: Callable[[str], None] = lambda line: None,
        spark_connect: bool = False,
    ) -> None:
        self._storage = storage
        self._get_session = get_session
        self._secrets = secrets
        self._stop_seconds = stop_seconds
        self.on_output = on_output
        self._say = say
        self._packages = Packages(cache_root() / "wheels", storage)
        self.spark_connect = spark_connect
        self.started = False
        self._starting = threading.Lock()

    def execute(
        self, call: TaskCall, on_event: Callable[[Event], None], canceled: threading.Event
    ) -> TaskOutcome:
        """Run one attempt to its end; a task that fails is an outcome, not an exception."""
        attempt = _AttemptThread(self, call, on_event, canceled)
        return attempt.to_end(self._stop_seconds)

    def session(self) -> SparkSession | None:
        """The Spark session, made the active one of this thread."""
        with self._starting, classic_mode():
            session = self._get_session()
        self.started = True
        if session is not None:
            activate(session)
        return session

    def dbutils(self, call: TaskCall, folder: Path | None = None) -> DbUtils:
        """The task's `dbutils`."""
        return DbUtils(
            self._storage,
            parameters=call.payload.get("base_parameters"),
            task_values=call.task_values,
            secrets=self._secrets,
        )

    def packages(self, call: TaskCall) -> PackageSet:
        """The packages of the task's environment, installed if need be."""
        return self._packages.prepare(dependencies_of(call), self._say)

    @property
    def storage(self) -> Storage:
        return self._storage


class _AttemptThread:
    """One attempt: its code runs in its own thread, while the calling thread waits and handles a stop."""

    def __init__(
        self,
        runner: LocalTaskRunner,
        call: TaskCall,
        on_event: Callable[[Event], None],
        canceled: threading.Event,
    ) -> None:
        self._runner, self._call, self._on_event, self._canceled = runner, call, on_event, canceled
        self._tag = f"task-{call.task_run_id}"
        self._spark: SparkSession | None = None
        self._stop_jobs: Callable[[], object] = lambda: None
        self._outcome: TaskOutcome | None = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._leave = ExitStack()
        self._dbutils = runner.dbutils(call)
        self._output = TaskOutput(*_name_and_arguments(call), lambda line: runner.on_output(call, line))

    def to_end(self, stop_seconds: float) -> TaskOutcome:
        thread = threading.Thread(target=self._body, name=self._tag, daemon=True)
        thread.start()
        waited = 0.0
        while not self._done.wait(POLL_SECONDS):
            if not self._canceled.is_set() or self._call.kind == "pipeline":
                continue
            if waited > stop_seconds:
                logger.warning("task %s did not stop and was abandoned", self._call.task_key)
                break
            # Repeated, as code may catch the exception, or start another Spark job.
            if round(waited / POLL_SECONDS) % 5 == 0:
                self._interrupt(thread)
            waited += POLL_SECONDS
        if self._error is not None:
            logger.error("task %s failed", self._call.task_key, exc_info=self._error)
        outcome = self._outcome
        if outcome is None or (self._canceled.is_set() and outcome.error is not None):
            trace = outcome.trace if outcome else None
            return self._ended(
                error="canceled", trace=trace, canceled=True, update=outcome and outcome.update
            )
        return outcome

    def _interrupt(self, thread: threading.Thread) -> None:
        if self._spark is not None:
            with suppress(Exception):  # the session may be stopping
                self._stop_jobs()
        if thread.ident is not None and not self._done.is_set():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(TaskCanceled)
            )

    def _body(self) -> None:
        # TaskCanceled may arrive at any point, even after the task's end. Only the outcome counts.
        with suppress(TaskCanceled):
            try:
                token = current_dbutils.set(self._dbutils)
                with captured(self._output), mounted(self._runner.storage), self._leave:
                    try:
                        self._outcome = self._run()
                    finally:
                        current_dbutils.reset(token)
            finally:
                self._done.set()

    def _run(self) -> TaskOutcome:
        try:
            if self._call.pipeline is not None:
                check_supported(self._call.pipeline)  # before packages are installed and Spark starts
            with own_imports(self._runner.packages(self._call)):
                match self._call.kind:
                    case "python_wheel":
                        return self._python_wheel()
                    case "spark_python":
                        return self._spark_python()
                    case "notebook":
                        return self._notebook()
                    case "pipeline":
                        return self._pipeline()
            raise LakerunError(f"A {self._call.kind}_task is not supported here.")
        except SystemExit as exit_:
            return self._ended(error=_exit_error(exit_, self._output.last_line))
        except TaskCanceled:
            return self._ended(error="canceled", canceled=True)
        except BaseException as error:
            self._error = error
            trace = user_trace(error)
            print(trace, file=sys.stderr, end="")
            return self._ended(error=typed_first_line(readable(error)), trace=trace)

    def _python_wheel(self) -> TaskOutcome:
        payload = self._call.payload
        with self._in_spark(TaskNames(self._dbutils, self._start_spark)):
            entry_point(payload["package_name"], payload["entry_point"])()
        return self._ended()

    def _spark_python(self) -> TaskOutcome:
        path = self._call.payload["python_file"]
        file = Path(path)
        if not file.is_file():
            raise LakerunError(f"spark_python_task.python_file: there is no file '{path}'.")
        code = compile(file.read_text(encoding="utf-8"), str(file), "exec", dont_inherit=True)
        names = TaskNames(self._dbutils, self._start_spark)
        names["__file__"] = str(file)
        with self._in_spark(names), importable(file.parent), working_folder(file.parent):
            exec(code, names)
        return self._ended()

    def _notebook(self) -> TaskOutcome:
        file = notebook_file(self._call.payload["notebook_path"])
        with working_folder(file.parent):
            result = self._run_notebook(file, self._dbutils, 0)
        return self._ended(result=result)

    def _run_notebook(self, file: Path, dbutils: DbUtils, depth: int) -> str | None:
        def other(path: str, arguments: Mapping[str, str], timeout_seconds: float) -> str | None:
            inner = self._runner.dbutils(self._call)
            inner.widgets.given = arguments
            inner.jobs = dbutils.jobs
            found = notebook_file(path, file.parent)
            return self._limited(
                f"Notebook '{path}'", timeout_seconds, lambda: self._run_notebook(found, inner, depth + 1)
            )

        dbutils.notebook.run_notebook = other
        names = TaskNames(dbutils, self._start_spark)
        with self._in_spark(names), importable(file.parent):
            return run_notebook(file, names, depth)

    def _limited(self, name: str, seconds: float, code: Callable[[], Result]) -> Result:
        """Result of `code`, which ends with its Spark jobs after so many seconds; 0 means no limit."""
        session = self._start_spark() if seconds else None
        if session is None:
            return within_limit(seconds, name, lambda: None, code)
        with tagged_jobs(session, f"{self._tag}-{uuid.uuid4().hex}") as cancel:
            return within_limit(seconds, name, cancel, code)

    def _pipeline(self) -> TaskOutcome:
        from lakerun.pipelines.update import Selection, run_update

        payload, spec = self._call.payload, self._call.pipeline
        assert spec is not None
        while not _one_update.acquire(timeout=POLL_SECONDS):
            if self._canceled.is_set():
                return self._ended(error="canceled", canceled=True)
        try:
            self._runner.session()
            update = run_update(
                spec,
                storage=self._runner.storage,
                selection=Selection(
                    refresh=tuple(payload.get("refresh_selection") or ()),
                    full_refresh=tuple(payload.get("full_refresh_selection") or ()),
                    full_refresh_all=payload.get("full_refresh") in (True, "true"),
                    validate_only=bool(payload.get("validate_only")),
                    cause=payload.get("cause") or "JOB_TASK",
                ),
                update_id=payload.get("update_id"),
                on_event=self._on_event,
                stop=self._canceled,
            )
        finally:
            _one_update.release()
        error = None if update.state == "COMPLETED" else update.error or f"the update ended as {update.state}"
        return self._ended(error=error, canceled=update.state == "CANCELED", update=update)

    @contextmanager
    def _in_spark(self, names: TaskNames) -> Iterator[None]:
        """In this context the task can use Spark, which starts when the task first uses it."""
        with dbutils_module(), runtime_module(names), ExitStack() as on_demand:
            if self._runner.spark_connect:
                on_demand.enter_context(connect_mode())
            if self._runner.started:
                self._start_spark()
            else:
                on_demand.enter_context(session_on_demand(self._start_spark))
            yield

    def _start_spark(self) -> SparkSession | None:
        """From now on Spark's jobs have the task's tag, and table names resolve to the lakehouse's tables."""
        no_longer_on_demand()
        if self._spark is None and (session := self._runner.session()) is not None:
            self._spark = self._of_task(session)
            self._leave.enter_context(lakehouse_tables(self._runner.storage))
        return self._spark

    def _of_task(self, session: SparkSession) -> SparkSession:
        """The session that the task's code gets, whose jobs can be stopped."""
        settings = self._call.spark_conf
        self._leave.enter_context(volumes_in_spark(session, self._runner.storage))
        if self._runner.spark_connect:
            session = self._leave.enter_context(connect_session(session, settings))
            self._stop_jobs = session.interruptAll
            return session
        if settings:
            session = self._leave.enter_context(session_with({}, cluster=settings))
        self._stop_jobs = self._leave.enter_context(tagged_jobs(session, self._tag))
        return session

    def _ended(self, **values: Any) -> TaskOutcome:
        self._output.finish()
        values = redacted(values)
        return TaskOutcome(
            message=values.get("result") or self._output.last_line,
            logs=self._output.text,
            task_values=dict(self._dbutils.jobs.taskValues.own),
            **values,
        )


def entry_point(package: str, name: str) -> Callable[[], object]:
    """The function of a wheel task: the package's entry point of that name, in any group, else a function."""
    try:
        found = metadata.distribution(package).entry_points
    except metadata.PackageNotFoundError:
        raise LakerunError(f"Package '{package}' is not installed in this environment.") from None
    for point in found:
        if point.name == name:
            function: Callable[[], object] = point.load()
            return function
    try:
        function = getattr(importlib.import_module(package.replace("-", "_")), name)
    except (ImportError, AttributeError):
        raise UnknownNameError(f"entry point of {package}", name, found.names) from None
    return function


def user_trace(error: BaseException) -> str:
    """The error's trace without the frames of this package's machinery that led to the task's code."""
    here = Path(__file__).parent
    start = error.__traceback__
    while start and Path(start.tb_frame.f_code.co_filename).parent == here:
        start = start.tb_next
    return "".join(traceback.format_exception(type(error), error, start or error.__traceback__))


def _name_and_arguments(call: TaskCall) -> tuple[str, list[str]]:
    """The prefix of the task's lines in the log, and its `sys.argv`."""
    payload = call.payload
    given = [str(value) for value in payload.get("parameters") or []]
    if call.kind == "python_wheel":
        named = payload.get("named_parameters") or {}
        name = payload["entry_point"]
        return name, [name, *(f"--{key}={value}" for key, value in named.items()), *given]
    if call.kind == "spark_python":
        return call.task_key, [payload["python_file"], *given]
    return call.task_key, [call.task_key]


def _exit_error(exit_: SystemExit, last_line: str) -> str | None:
    """The error of a failed exit; None for `sys.exit()` and `sys.exit(0)`."""
    if exit_.code is None or exit_.code == 0:
        return None
    if isinstance(exit_.code, str):
        return exit_.code.strip().split("\n")[0]
    return f"exit code {exit_.code}" + (f": {last_line}" if last_line else "")
