"""What an environment's dependencies bring: packages from an index that is a folder, projects, wheels."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from lakerun.bundles.dependencies import placed
from lakerun.bundles.job_specs import job_from_settings
from lakerun.bundles.load import load_bundle
from lakerun.bundles.pipeline_specs import read_pipeline
from lakerun.bundles.sections import Section
from lakerun.errors import LakerunError
from lakerun.jobs.packages.installed import Packages
from lakerun.jobs.packages.requirements import Requirements, read_requirements
from lakerun.tables.storage import Storage
from unit.job_lab import JobLab, error_of, task


class Index:
    """A folder of wheels from which uv installs, without a network; and a cache of packages of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "index"
        self.folder.mkdir()
        self.options = ("--no-index", f"--find-links {self.folder}")
        self.said: list[str] = []

    def wheel(
        self, name: str, version: str, code: str, requires: tuple[str, ...] = (), folder: Path | None = None
    ) -> Path:
        file = (folder or self.folder) / f"{name}-{version}-py3-none-any.whl"
        info = f"{name}-{version}.dist-info"
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr(f"{name}/__init__.py", code)
            archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        return file


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Index(tmp_path)


@pytest.fixture
def packages(tmp_path: Path) -> Packages:
    return Packages(tmp_path / "wheels", Storage(tmp_path / "lakehouse"))


def test_a_missing_package_is_installed_once_with_all_that_it_needs(
    index: Index, packages: Packages, tmp_path: Path
) -> None:
    index.wheel("deep_need", "2.0", "TEXT = 'deep'")
    index.wheel("some_advice", "1.5", "from deep_need import TEXT", ("deep_need>=2", "pydantic>=2"))
    file = tmp_path / "requirements.txt"
    file.write_text(
        "# comment\nsome_advice>=1 ; python_version > '3'  # why\n-r more.txt\n", encoding="utf-8"
    )
    (tmp_path / "more.txt").write_text("\n".join(index.options), encoding="utf-8")
    found = packages.prepare([f"-r {file}"], index.said.append)
    (folder,) = found.installed
    assert folder.is_relative_to(tmp_path / "cache")
    names = {item.name for item in folder.iterdir()}
    assert {"some_advice", "deep_need"} <= names
    assert "pydantic" not in names  # this environment has it
    again = packages.prepare([f"-r {file}"], index.said.append)
    assert again == found
    assert index.said == ['Installing some_advice>=1; python_version > "3"']


def test_a_wheels_needs_are_installed_with_it(index: Index, packages: Packages, tmp_path: Path) -> None:
    index.wheel("deep_need", "2.0", "")
    wheel = index.wheel("my_wheel", "1.0", "", ("deep_need", "absent; extra == 'x'"), tmp_path)
    found = packages.prepare([str(wheel), *index.options], index.said.append)
    assert [(folder / "my_wheel").exists() for folder in found.wheels] == [True]
    assert [(folder / "deep_need").exists() for folder in found.installed] == [True]
    assert index.said == ["Installing deep_need"]


def test_what_is_installed_is_not_installed_again(index: Index, packages: Packages) -> None:
    found = packages.prepare(["pydantic>=2", "packaging", "no_such; python_version < '3'"], index.said.append)
    assert (found.key, found.installed, index.said) == ("", (), [])
    assert packages.prepare([]) == found


def test_the_runtime_and_what_it_needs_stay_in_their_versions(index: Index, packages: Packages) -> None:
    index.wheel("pydantic", "1.0", "")
    index.wheel("old_tool", "1.0", "", ("pydantic<2",))
    for line in ("pydantic<2", "old_tool"):
        with pytest.raises(
            LakerunError, match=rf"Packages cannot be installed: .*pydantic=={metadata.version('pydantic')}"
        ):
            packages.prepare([line, *index.options])


def test_a_package_that_brings_modules_of_the_runtime_is_installed_without_them(
    index: Index, packages: Packages
) -> None:
    file = index.wheel("sly", "1.0", "")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("yaml/__init__.py", "raise RuntimeError")
        archive.writestr("json.py", "raise RuntimeError")
    (folder,) = packages.prepare(["sly", *index.options]).installed
    assert (folder / "sly" / "__init__.py").exists()
    assert not (folder / "yaml").exists() or not list((folder / "yaml").iterdir())
    assert not (folder / "json.py").exists()


def test_an_unknown_package_is_one_line(index: Index, packages: Packages) -> None:
    with pytest.raises(LakerunError) as caught:
        packages.prepare(["nowhere_to_be_found", *index.options])
    assert str(caught.value).startswith("Packages cannot be installed: ")
    assert "nowhere-to-be-found" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list((index.folder.parent / "cache").rglob("*.partial"))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("--trusted-host example.com", "Dependency '--trusted-host example.com' is not supported here."),
        ("two words", "Dependency 'two words' is not a valid requirement."),
        ("-r /none/requirements.txt", "Requirements file '/none/requirements.txt' does not exist."),
        ("-e /none/project", "Dependency '/none/project' is not a folder."),
        ("/none/x-1.whl", "Wheel '/none/x-1.whl' does not exist."),
        ("/none/*.whl", "No wheel matches '/none/*.whl': build it, or correct the pattern."),
    ],
)
def test_a_line_that_cannot_be_read_is_named(line: str, problem: str) -> None:
    with pytest.raises(LakerunError) as caught:
        read_requirements([line]).missing()
    assert str(caught.value) == problem


@pytest.mark.parametrize("wheel", ["*.whl", "pydantic-*.whl", "pydantic-1.0-py3-none-any.whl", "pyd*.whl"])
def test_the_wheel_of_an_installed_project_need_not_be_built(tmp_path: Path, wheel: str) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "Pydantic"', encoding="utf-8")
    assert read_requirements([str(tmp_path / "dist" / wheel)]) == Requirements()
    for other in (f"none/{wheel}", "dist/pydantic_extra-*.whl", "dist/other-1.0-py3-none-any.whl"):
        with pytest.raises(LakerunError):
            read_requirements([str(tmp_path / other)])


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("-r a.txt", encoding="utf-8")
    with pytest.raises(LakerunError, match="include each other"):
        read_requirements([f"-r {tmp_path / 'a.txt'}"])


def test_a_wheel_in_a_volume_is_found(index: Index, packages: Packages, tmp_path: Path) -> None:
    libraries = tmp_path / "lakehouse" / "volumes" / "main" / "default" / "libs"
    libraries.mkdir(parents=True)
    index.wheel("kept_advice", "2.0", "VERSION = '2.0'", folder=libraries)
    found = packages.prepare(["/Volumes/main/default/libs/kept_advice-2.0-py3-none-any.whl"])
    assert found.packages == {"kept_advice"}
    (libraries / "more.txt").write_text("./kept_advice-2.0-py3-none-any.whl", encoding="utf-8")
    assert packages.prepare(["-r /Volumes/main/default/libs/more.txt"]) == found
    with pytest.raises(LakerunError, match=r"^Volume 'main\.default\.none' does not exist\."):
        packages.prepare(["/Volumes/main/default/none/x-1.0-py3-none-any.whl"])


def test_of_several_wheels_of_one_package_the_newest_counts(index: Index, tmp_path: Path) -> None:
    new, old = (index.wheel("mine", version, "") for version in ("0.1", "0.2"))
    os.utime(old, (1, 1))
    assert read_requirements([str(new), str(old)]).wheels == (new,)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--editable ../app", "-e /at/../app"),
        ("-e .[dev]", "-e /at/.[dev]"),
        ("-r requirements.txt", "-r /at/requirements.txt"),
        ("--requirement=../r.txt", "-r /at/../r.txt"),
        ("dist/a-1.whl", "/at/dist/a-1.whl"),
        ("./app", "/at/./app"),
        ("cowsay==6.1", "cowsay==6.1"),
        ("https://example.com/a-1.whl", "https://example.com/a-1.whl"),
        ("--index-url https://example.com/simple", "--index-url https://example.com/simple"),
    ],
)
def test_only_paths_are_placed(line: str, expected: str) -> None:
    assert placed(line, lambda path: f"/at/{path}") == expected


# Tasks ------------------------------------------------------------------------------------------------------


def test_tasks_import_their_environments_packages_and_the_next_run_does_not(
    index: Index, tmp_path: Path
) -> None:
    lab = JobLab(tmp_path)
    versions = {}
    for version in ("1.0", "2.0"):
        index.wheel("some_advice", version, f"VERSION = {version!r}")
        versions[version] = {
            "environment_key": f"v{version[0]}",
            "spec": {"dependencies": [f"some_advice=={version}", *index.options]},
        }
    body = "import time, some_advice\ntime.sleep(0.1)\nimport some_advice\nprint(some_advice.VERSION)"
    job = lab.job(
        lab.script("one", body, environment_key="v1"),
        lab.script("two", body, environment_key="v2"),
        lab.script("none", body),
        environments=list(versions.values()),
    )
    before = list(sys.path)
    result = lab.run(job, only=["one", "two"])
    assert result.state == "SUCCESS"
    assert (lab.last("one").message, lab.last("two").message) == ("1.0", "2.0")
    assert sys.path == before
    assert error_of(lab.run(job, only=["none"]), "none").startswith("ModuleNotFoundError")


def test_a_notebook_has_what_its_pip_cells_install(index: Index, tmp_path: Path) -> None:
    lab = JobLab(tmp_path)
    index.wheel("some_advice", "1.0", "VERSION = '1.0'")
    index.wheel("more_advice", "3.0", "VERSION = '3.0'")
    libraries = lab.storage.volumes_root / "main" / "default" / "libs"
    libraries.mkdir(parents=True)
    index.wheel("kept_advice", "2.0", "VERSION = '2.0'", folder=libraries)
    (tmp_path / "more.txt").write_text("more_advice  # the newest\n", encoding="utf-8")
    options = " ".join(index.options)
    lab.write_notebook("shared", f"# MAGIC %pip install -q -r more.txt {options}\nimport more_advice")
    spec = lab.notebook(
        "report",
        f"step = 1\n# MAGIC %pip install --upgrade \\\n# MAGIC   'some_advice>=1' {options}\nstep = 2",
        "# MAGIC %pip install /Volumes/main/default/libs/kept_advice-2.0-py3-none-any.whl",
        "# MAGIC %run ./shared",
        "import some_advice, kept_advice",
        "print(some_advice.VERSION, kept_advice.VERSION, more_advice.VERSION, step)",
    )
    result = lab.run(lab.job(spec))
    assert result.state == "SUCCESS", result.error
    assert lab.logs("report").splitlines() == [
        f"%pip install --upgrade 'some_advice>=1' {options}: installed before the task started",
        "%pip install /Volumes/main/default/libs/kept_advice-2.0-py3-none-any.whl: "
        "installed before the task started",
        f"%pip install -q -r more.txt {options}: installed before the task started",
        "1.0 2.0 3.0 2",
    ]


def test_a_pip_cell_of_another_notebook_cannot_install_while_the_task_runs(
    index: Index, tmp_path: Path
) -> None:
    lab = JobLab(tmp_path)
    lab.write_notebook("child", "# MAGIC %pip install pydantic", "# MAGIC %pip install some_advice\nprint(1)")
    spec = lab.notebook("report", "dbutils.notebook.run('child', 0)")
    assert error_of(lab.run(lab.job(spec)), "report") == (
        "child.py:6: some_advice cannot be installed while the task runs. Name it in the task's environment, "
        "or by %pip in the notebook that the task starts."
    )


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("%pip uninstall -y x", "report.py:2: %pip uninstall is not supported here."),
        ("%pip", "report.py:2: %pip is not supported here."),
        ("%pip install --target /x y", "report.py:2: %pip install: the option '--target' is not supported"),
        ("%pip install $wheel", "Dependency '$wheel' is not a valid requirement."),
        ("%pip install 'x", "report.py:2: %pip: No closing quotation."),
        ("%pip install -r none.txt", "/none.txt' does not exist."),
        ("%conda install x", "report.py:2: %conda cells are not supported here."),
    ],
)
def test_a_pip_cell_that_cannot_be_carried_out_is_refused(tmp_path: Path, command: str, problem: str) -> None:
    lab = JobLab(tmp_path)
    spec = lab.notebook("report", f"# MAGIC {command}", "print(1)")
    assert problem in error_of(lab.run(lab.job(spec)), "report")


def test_a_source_file_that_cannot_run_is_refused_before_packages_are_installed(tmp_path: Path) -> None:
    (tmp_path / "totals.sql").write_text("SELECT 1", encoding="utf-8")
    settings = {
        "catalog": "main",
        "schema": "shop",
        "libraries": [{"glob": {"include": "**"}}],
        "environment": {"dependencies": ["a-package-that-is-nowhere", "--no-index"]},
    }
    lab = JobLab(tmp_path / "lab")
    lab.pipelines["p"] = read_pipeline(Section(settings), "p", lambda _section, _key, path: tmp_path / path)
    job = lab.job(task("update", "pipeline", {"pipeline_id": "p"}))
    error = error_of(lab.run(job), "update")
    assert error == "totals.sql: SQL source files are not supported in pipelines here."


def test_libraries_of_a_task_are_dependencies() -> None:
    libraries = [
        {"whl": "/Workspace/a.whl"},
        {"pypi": {"package": "cowsay==6.1", "repo": "https://example.com/simple"}},
        {"requirements": "/Workspace/requirements.txt"},
    ]
    written = task("go", "spark_python", {"python_file": "/go.py"}, libraries=libraries)
    job = job_from_settings({"name": "x", "tasks": [written]}, "x")
    assert job.tasks[0].dependencies == (
        "/Workspace/a.whl",
        "cowsay==6.1",
        "--extra-index-url https://example.com/simple",
        "-r /Workspace/requirements.txt",
    )


# Wheels that a bundle builds --------------------------------------------------------------------------------


@pytest.fixture
def bundle(tmp_path: Path) -> Callable[[str], Path]:
    def write(build: str) -> Path:
        text = f"""
bundle: {{name: b}}
artifacts:
  mine: {{type: whl, build: "{build}", path: ./project}}
  jar: {{type: jar, build: sbt, path: .}}
resources:
  pipelines:
    p:
      catalog: main
      schema: s
      libraries: [{{file: {{path: p.py}}}}]
      environment: {{dependencies: [--editable project, cowsay, ./dist/*.whl]}}
"""
        (tmp_path / "databricks.yml").write_text(text, encoding="utf-8")
        (tmp_path / "p.py").write_text("", encoding="utf-8")
        (tmp_path / "project").mkdir(exist_ok=True)
        return tmp_path

    return write


def test_a_bundle_builds_its_wheels_unless_the_package_is_installed(bundle: Callable[[str], Path]) -> None:
    from lakerun.bundles.artifacts import build_wheels

    root = bundle("echo built > made.txt")
    loaded = load_bundle(root)
    pattern = str(root / "dist" / "*.whl")
    assert loaded.pipelines["p"].dependencies == (f"-e {root / 'project'}", "cowsay", pattern)
    wheel = root / "dist" / "mine-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    assert load_bundle(root).pipelines["p"].dependencies[2:] == (str(wheel),)
    (artifact,) = loaded.artifacts
    assert (artifact.key, artifact.folder) == ("mine", root / "project")
    said: list[str] = []
    assert build_wheels(loaded.artifacts, root / "log", said.append)
    assert (root / "project" / "made.txt").read_text(encoding="utf-8") == "built\n"
    (root / "project" / "made.txt").unlink()
    (root / "project" / "pyproject.toml").write_text('[project]\nname = "pydantic"', encoding="utf-8")
    assert not build_wheels(loaded.artifacts, root / "log", said.append)
    assert said == ["Building mine"]


def test_a_build_that_fails_is_one_line(bundle: Callable[[str], Path]) -> None:
    from lakerun.bundles.artifacts import build_wheels

    root = bundle("echo first; echo no such tool >&2; exit 3")
    with pytest.raises(LakerunError) as caught:
        build_wheels(load_bundle(root).artifacts, root / "log", lambda line: None)
    assert str(caught.value).startswith("artifacts.mine: 'echo first;")
    assert str(caught.value).endswith("ended with exit code 3: no such tool")
