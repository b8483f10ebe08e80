"""What must not be in the repository, whoever edits it."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Symbols, dingbats, emoticons, pictographs, flags, and the selector that turns a character into one.
PICTOGRAPH = re.compile("[\u2600-\u27bf\u2b50-\u2b55\ufe0f\U0001f000-\U0001faff]")
# Put together here, so that this file does not hold what it looks for.
MACHINE_PATHS = ["/" + folder + "/" for folder in ("work", "root")] + ["/tmp" + "/x/"]
TOKEN = re.compile("dapi" + "[0-9a-f]{16}")
WORKSPACE_HOSTS = ("cloud.databricks.com", "azuredatabricks.net", "gcp.databricks.com")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
LINES_AT_MOST = 500


def files(*patterns: str) -> list[Path]:
    """Files that are tracked or about to be, by git's patterns; all of them without one."""
    # A checkout may belong to another user, as in a container.
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in found if path.is_file()]


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`file:line` of every match. Bytes that are not UTF-8 cannot match."""
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_bytes().decode("utf-8", "ignore").splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_files_of_the_repository_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in files()}
    assert {"README.md", "databricks.yml", "uv.lock", "tests/unit/test_hygiene.py"} <= names
    assert not any(name.startswith((".venv/", ".lakehouse/")) for name in names)


def test_no_file_has_a_pictograph() -> None:
    assert lines_with(PICTOGRAPH, files()) == []


@pytest.mark.parametrize("text", ["\u2705 done", "go \U0001f680", "\u26a0\ufe0f"])
def test_a_pictograph_would_be_found(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.test_hygiene.ROOT", tmp_path)
    (tmp_path / "note.md").write_text(f"plain\n{text}\n", encoding="utf-8")
    assert lines_with(PICTOGRAPH, [tmp_path / "note.md"]) == ["note.md:2"]


def test_no_file_names_a_place_on_one_machine() -> None:
    paths = re.compile("|".join(rf"(?<![\w.*$}}]){path}" for path in MACHINE_PATHS))
    assert lines_with(paths, files()) == []


def test_no_file_holds_an_access_token() -> None:
    assert lines_with(TOKEN, files()) == []


def test_packages_come_from_pypi_alone() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([^/\"]+)", lock)) == {"pypi.org", "files.pythonhosted.org"}


def test_no_workspace_is_written_down() -> None:
    bundle = files("databricks.yml", "resources", "src")
    assert ROOT / "databricks.yml" in bundle
    assert lines_with(re.compile("|".join(map(re.escape, WORKSPACE_HOSTS))), bundle) == []
    assert lines_with(re.compile(r"^\s*(host|profile)\s*:"), files("databricks.yml", "resources")) == []


def test_every_source_file_is_short() -> None:
    sources = files("src/**.py")
    assert sources
    long = {path.name: n for path in sources if (n := len(path.read_text("utf-8").splitlines())) > LINES_AT_MOST}
    assert long == {}


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED, files("src")) == []


def test_the_checks_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
