"""The local Spark session with Delta: `get_session`. Quiet on the console; Spark's output goes to a log file.

Spark's launcher needs a Java runtime (`java.py`) and Delta's jars (`jars.py`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lakerun.errors import LakerunError, first_line
from lakerun.files import write_file
from lakerun.spark.active_session import activate, session_of_builder
from lakerun.spark.causes import root_cause
from lakerun.spark.jars import delta_jars
from lakerun.spark.java import MINIMUM_JAVA, cache_root, class_archive_options, java_home
from lakerun.spark.jvm_names import remember_jvm_names
from lakerun.spark.memory import EXIT_WHEN_FULL, MEMORY_VARIABLE, driver_memory, watch_memory, why_ended
from lakerun.spark.volumes import mount_settings
from lakerun.tables.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakerun.spark.query_session import QuerySession

# With fewer bytes in the data folder a run ends before optimizing pays off: the JVM's second compiler,
# Spark's code generation and adaptive planning. On 2 cores, four runs of the main job on 700 orders
# in one process take 36.6, 21.8, 17.5, 16.1 s with the second compiler, and 27.2, 20.2, 15.8, 15.8 s without.
SMALL_LAKEHOUSE_BYTES = 64 * 2**20
# With fewer bytes even the code for single expressions costs more than it saves: with it the first run on
# 10,000 orders (6 MB of lines) takes 65 instead of 79 seconds of CPU time and the next ones as many as
# without, but one on 700 orders 49 instead of 29. Tables have more bytes than a run reads, since they keep
# what was overwritten.
TINY_LAKEHOUSE_BYTES = 4 * 2**20
TABLE_BYTES_PER_BYTE_READ = 8


def get_session(log_file: Path | None = None, *, typical: bool = False) -> SparkSession:
    """The process's Spark session, started at the first call, and again if Spark has ended.

    `typical` says that this process does usual work, so that the classes it loads are worth archiving for
    later starts. Raises LakerunError in one line if Java or the jars are missing and cannot be installed.
    """
    from pyspark.sql import SparkSession

    if why_ended():
        _forget_spark()
    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    log_file = log_file or Storage.default().log_path("spark")
    settings = session_settings(typical=typical)
    remember_jvm_names()
    builder = SparkSession.builder.appName("lakerun")
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with _output_to(log_file):
            session = builder.getOrCreate()
    except Exception as error:
        raise _start_error(error, log_file) from error
    watch_memory(session, settings["spark.driver.memory"])
    return session


@contextmanager
def session_with(
    configuration: Mapping[str, str], cluster: Mapping[str, str] | None = None
) -> Iterator[QuerySession]:
    """A new session with a pipeline's configuration; in this context, code gets it as the session.

    Raises LakerunError for a setting that a running Spark cannot change. Among those of a `cluster` it is
    left out: a cluster has machines, and `spark.executor.memory` is about them.
    """
    from pyspark.errors import AnalysisException

    from lakerun.spark.query_session import QuerySession

    base: Any = get_session()
    session = QuerySession(base._sc, base._jsparkSession.newSession())
    for key, value in (cluster or {}).items():
        with suppress(AnalysisException):
            session.conf.set(key, value)
    for key, value in configuration.items():
        try:
            session.conf.set(key, value)
        except AnalysisException:
            raise LakerunError(
                f"configuration: '{key}' cannot be set for a pipeline: Spark reads it only when it starts."
            ) from None
    with session_of_builder():
        activate(session)
        try:
            yield session
        finally:
            if not why_ended():
                activate(base)


def session_settings(*, typical: bool = False) -> dict[str, str]:
    """What `get_session` starts Spark with.

    `JAVA_HOME` names the Java runtime from now on, and Spark's workers are of this Python, which need not be
    the one on the PATH. Raises LakerunError as `get_session` does.
    """
    home = java_home()
    os.environ["JAVA_HOME"] = str(home)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    jars = delta_jars()
    cores = os.cpu_count() or 2
    sizes = Storage.default().sizes()
    scratch = Storage.default().home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    return {
        "spark.master": f"local[{cores}]",
        "spark.driver.memory": driver_memory(),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={_log_configuration()} -Dderby.system.home={scratch} "
            f"-Duser.timezone=UTC {_heap_options()} {_jit_options(sum(sizes))} "
            f"{class_archive_options(home, [*_spark_jars(), *jars], record=typical)}"
        ),
        # On the class path and not in `spark.jars`, because the JVM archives classes only from there.
        "spark.driver.extraClassPath": os.pathsep.join(str(jar) for jar in jars),
        # The default for this heap is 64 MB, and each small aggregation and sort would clear that much.
        "spark.buffer.pageSize": "1m",
        # Otherwise each column tells the JVM its place in the code, in three calls.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.local.dir": str(scratch),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        # One machine: as many partitions as cores, and no tasks for tables of a few files.
        "spark.sql.shuffle.partitions": str(max(2, cores)),
        "spark.default.parallelism": str(max(2, cores)),
        "spark.databricks.delta.snapshotPartitions": "1",
        # VACUUM lists a table's folder in this many tasks: 10,000 by default, which takes half a minute.
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": str(max(2, cores)),
        # Parquet keeps no statistics for the older encoding.
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.scheduler.mode": "FAIR",
        "spark.locality.wait": "0",
        # Databricks does this by itself, here a job does; doing it in each small write costs seconds.
        "spark.databricks.delta.optimizeWrite.enabled": "false",
        "spark.databricks.delta.autoCompact.enabled": "false",
        # OSS Delta does not know delta.targetFileSize; keep it on the table instead of refusing it.
        "spark.databricks.delta.allowArbitraryProperties.enabled": "true",
        "spark.sql.streaming.metricsEnabled": "false",
        **_sized(*sizes),
        **mount_settings(Storage.default()),
        "spark.sql.debug.maxToStringFields": "1000",
        # Delta's parser drops the parameters of `sql(..., args=...)`; Spark's older way avoids that parser.
        "spark.sql.legacy.parameterSubstitution.constantsOnly": "true",
    }


def sized_settings(storage: Storage) -> dict[str, str]:
    """Spark settings that depend on the current size of the lakehouse."""
    return _sized(*storage.sizes())


def _sized(volumes: int, tables: int) -> dict[str, str]:
    optimize = "false" if volumes + tables < SMALL_LAKEHOUSE_BYTES else "true"
    tiny = max(volumes, tables // TABLE_BYTES_PER_BYTE_READ) < TINY_LAKEHOUSE_BYTES
    return {
        # Only Spark's Delta can read and overwrite tables with deletion vectors (`delta_files.py`).
        "spark.databricks.delta.merge.deletionVectors.persistent": optimize,
        "spark.sql.codegen.wholeStage": optimize,
        "spark.sql.codegen.factoryMode": "NO_CODEGEN" if tiny else "FALLBACK",
        "spark.sql.adaptive.enabled": optimize,
    }


def _heap_options() -> str:
    # Growing to this size step by step costs a tenth of a run in garbage collections.
    grown = "" if os.environ.get(MEMORY_VARIABLE) else "-Xms1500m -XX:NewSize=900m"
    return f"-XX:+UseParallelGC {EXIT_WHEN_FULL} -XX:MetaspaceSize=300m {grown}"


def _jit_options(size: int) -> str:
    if size >= SMALL_LAKEHOUSE_BYTES:
        return ""
    # With only one compiler the JVM reserves a code cache that is too small for Spark. It compiles a method
    # after 30 calls instead of 200: decision 021 has what that saves and costs.
    return (
        "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m -XX:Tier3InvocationThreshold=30 "
        "-XX:Tier3MinInvocationThreshold=15 -XX:Tier3CompileThreshold=300 -XX:Tier3BackEdgeThreshold=10000"
    )


def _spark_jars() -> list[Path]:
    import pyspark

    return list((Path(pyspark.__file__).parent / "jars").glob("*.jar"))


def _log_configuration() -> Path:
    path = cache_root() / "log4j2.properties"
    text = """rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
"""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_file(path, text)
    return path


def _forget_spark() -> None:
    """Let PySpark start another JVM in place of one that has ended."""
    from pyspark import SparkContext

    if context := SparkContext._active_spark_context:
        context._jsc = None  # or it would ask the JVM to stop
        context.stop()
    SparkContext._gateway = SparkContext._jvm = None


@contextmanager
def _output_to(log_file: Path) -> Iterator[None]:
    """Send the output of child processes that start in this context to the log file, not to the console."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(log, 1)
        os.dup2(log, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for descriptor, copy in zip((1, 2), saved, strict=True):
            os.dup2(copy, descriptor)
            os.close(copy)
        os.close(log)


def _start_error(error: Exception, log_file: Path) -> LakerunError:
    text = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else ""
    if "UnsupportedClassVersionError" in text:
        return LakerunError(
            f"Spark needs Java {MINIMUM_JAVA} or later; set JAVA_HOME to one. Details: {log_file}"
        )
    cause = root_cause(error)
    if cause.condition == "INVALID_DRIVER_MEMORY":
        least = -(-int(cause.parameters["minSystemMemory"]) // 2**20)
        return LakerunError(f"{MEMORY_VARIABLE}={driver_memory()} is too little: Spark needs over {least}m.")
    return LakerunError(f"Spark did not start: {first_line(error)}. Details: {log_file}")
