"""A bundle's file patterns match the files that the Databricks CLI finds."""

from __future__ import annotations

from pathlib import Path

import pytest

from lakerun.bundles.go_glob import BadPatternError, go_glob
from lakerun.bundles.load import bundle_targets, load_bundle
from lakerun.errors import BundleError
from lakerun.pipelines.validation import validate

FILES = (
    "databricks.yml",
    "deep/databricks.yml",
    *(f"resources/{name}" for name in ("!t.yml", ".hidden.yml", "[x].yml", "a-b.yml", "a.yml", "b.yaml")),
    "resources/jobs/daily/d.yml",
    "resources/jobs/j.yml",
    "resources/jobs/k.json",
    "resources/test/keep",
    "resources/test.yml",
)
YAMLS = "!t.yml .hidden.yml [x].yml a-b.yml a.yml test.yml"
# What filepath.Glob of Go 1.21 answers for these files.
FOUND = {
    "resources/*.yml": [f"resources/{name}" for name in YAMLS.split()],
    "resources/**/*.yml": ["resources/jobs/j.yml"],
    "**/*.yml": ["deep/databricks.yml", *(f"resources/{name}" for name in YAMLS.split())],
    "*/*/*.yml": ["resources/jobs/j.yml"],
    "resources/[^t]*": [
        *(f"resources/{name}" for name in ("!t.yml", ".hidden.yml", "[x].yml", "a-b.yml", "a.yml", "b.yaml")),
        "resources/jobs",
    ],
    "resources/[!t]*": ["resources/!t.yml", "resources/test", "resources/test.yml"],
    "resources/[!t].yml": [],
    "resources/[a-b].y*ml": ["resources/a.yml", "resources/b.yaml"],
    "resources/[b-a].yml": [],
    "resources/\\[x].yml": ["resources/[x].yml"],
    "resources/[[]x].yml": ["resources/[x].yml"],
    "resources/?.yml": ["resources/a.yml"],
    "./resources/a.yml": ["resources/a.yml"],
    "resources/../resources/a.yml": ["resources/a.yml"],
    "resources//jobs/j.yml": ["resources/jobs/j.yml"],
    "resources/jobs/": ["resources/jobs"],
    "resources/nothing.yml": [],
    "resources/{a,b}.yml": [],
    "resources/a.yml/*": [],
    "resources/*-*.yml": ["resources/a-b.yml"],
    "resources/.*": ["resources/.hidden.yml"],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "with [letters]*"  # the folder's own name is not a pattern
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


@pytest.mark.parametrize("pattern", FOUND)
def test_a_pattern_names_what_go_finds(root: Path, pattern: str) -> None:
    assert [str(path.relative_to(root)) for path in go_glob(root, pattern)] == FOUND[pattern]


@pytest.mark.parametrize("pattern", ["[a", "[]a].yml", "[a-].yml", "a\\", "[", "[^", "[-a]", "[a--]"])
def test_a_malformed_pattern_is_refused(root: Path, pattern: str) -> None:
    with pytest.raises(BadPatternError, match="is not a valid pattern"):
        go_glob(root, f"resources/{pattern}")


def bundle(root: Path, include: str, **files: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / "databricks.yml").write_text(
        f"bundle: {{name: patterns}}\ninclude: ['{include}']\n", encoding="utf-8"
    )
    for name, job in files.items():
        path = root / name.replace("__", "/")
        path = path.with_name(f"{path.name}.yml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"resources: {{jobs: {{{job}: {{name: {job}, tasks: []}}}}}}" if job else "", encoding="utf-8"
        )
    return root


@pytest.mark.parametrize(
    ("include", "jobs"),
    [
        ("resources/**/*.yml", ["two"]),
        ("resources/*/*/*.yml", ["three"]),
        ("resources/[^t]*.yml", ["one"]),
        ("resources/[!t]*.yml", ["test"]),
        ("*/databricks.yml", ["below"]),
    ],
)
def test_a_bundle_includes_the_files_that_the_cli_includes(
    tmp_path: Path, include: str, jobs: list[str]
) -> None:
    root = bundle(
        tmp_path / "bundle",
        include,
        resources__one="one",
        resources__test="test",
        resources__x__two="two",
        resources__x__y__three="three",
        sub__databricks="below",
    )
    assert list(load_bundle(root).jobs) == jobs


@pytest.mark.parametrize(
    ("include", "error"),
    [
        ("resources/[a", "'[a' is not a valid pattern"),
        ("resources/notes.txt", "resources/notes.txt is not a YAML or JSON file"),
        ("resources/*", "resources/notes.txt is not a YAML or JSON file"),
    ],
)
def test_includes_that_the_cli_refuses_are_refused(tmp_path: Path, include: str, error: str) -> None:
    root = bundle(tmp_path / "bundle", include, resources__one="one")
    (root / "resources" / "notes.txt").touch()
    with pytest.raises(BundleError, match="include: ") as refused:
        load_bundle(root)
    assert error in str(refused.value)


@pytest.mark.parametrize("name", ["databricks.yml", "databricks.yaml", "bundle.yml", "bundle.yaml"])
def test_a_bundle_starts_with_any_of_the_names_that_the_cli_knows(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("bundle: {name: patterns}", encoding="utf-8")
    assert load_bundle(tmp_path).name == "patterns"


def test_two_first_files_are_refused(tmp_path: Path) -> None:
    for name in ("databricks.yml", "bundle.yaml"):
        (tmp_path / name).write_text("bundle: {name: patterns}", encoding="utf-8")
    with pytest.raises(BundleError, match=r"has databricks\.yml and bundle\.yaml"):
        load_bundle(tmp_path)


def test_a_target_of_an_included_file_is_validated(tmp_path: Path) -> None:
    root = bundle(tmp_path / "bundle", "targets.yml")
    (root / "targets.yml").write_text(
        "targets: {first: {default: true}, second: {variables: {unknown: x}}}", encoding="utf-8"
    )
    assert bundle_targets(root) == ["first", "second"]
    (problem,) = validate(root, {}).problems
    assert "Unknown variable 'unknown'" in problem.message
    assert problem.location.endswith("targets.yml:1")
