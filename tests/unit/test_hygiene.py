"""Things that must not be in the repository."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Symbols, dingbats, emoticons, pictographs, flags, and the selector that turns a character into one.
PICTOGRAPH = re.compile("[\u2600-\u27bf\u2b50-\u2b55\ufe0f\U0001f000-\U0001faff]")
# Assembled here, so that this file does not contain what it looks for.
MACHINE_PATH = re.compile(r"(?<![\w.*$}])/" + r"(work|root|tmp/x)/")
TOKEN = re.compile("dapi" + "[0-9a-f]{16}")
WORKSPACE = re.compile(r"\b(cloud|gcp)\.databricks\.com|azuredatabricks\.net|^\s*(host|profile)\s*:")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
LINES_AT_MOST = 500


def files(*patterns: str) -> list[Path]:
    """Files that are tracked or about to be, by git's patterns; without a pattern all of them."""
    # A checkout may belong to another user, as in a container.
    git = ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(git, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = [ROOT / name for name in listed.split("\0") if name]
    return [path for path in found if path.is_file()]


def lines_with(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    """`file:line` of every match. Bytes that are not UTF-8 cannot match, nor can a file that is not text."""
    texts = {path: content for path in paths if b"\0" not in (content := path.read_bytes())}
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path, content in texts.items()
        for number, line in enumerate(content.decode("utf-8", "ignore").splitlines(), 1)
        if pattern.search(line)
    ]


def test_the_files_of_the_repository_are_found() -> None:
    names = {str(path.relative_to(ROOT)) for path in files()}
    assert {"README.md", "databricks.yml", "uv.lock", "tests/unit/test_hygiene.py"} <= names
    assert not any(name.startswith((".venv/", ".lakehouse/")) for name in names)


def test_no_file_has_a_pictograph() -> None:
    assert lines_with(PICTOGRAPH, files()) == []


def test_no_file_names_a_path_of_one_machine() -> None:
    assert lines_with(MACHINE_PATH, files()) == []


def test_no_file_holds_an_access_token() -> None:
    assert lines_with(TOKEN, files()) == []


def test_packages_come_only_from_pypi() -> None:
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    assert set(re.findall(r"https?://([^/\"]+)", lock)) == {"pypi.org", "files.pythonhosted.org"}


def test_no_file_names_a_workspace() -> None:
    bundle = files("databricks.yml", "resources")
    assert ROOT / "databricks.yml" in bundle
    assert lines_with(WORKSPACE, bundle) == []


def test_every_source_file_is_short() -> None:
    sources = files("*.py")
    found = {"/".join(path.relative_to(ROOT).parts[:2]) for path in sources}
    assert {"src/ecommerce_lakehouse", "tests/unit", "lakerun/src", "lakerun/tests"} <= found
    long = {
        path.name: n for path in sources if (n := len(path.read_text("utf-8").splitlines())) > LINES_AT_MOST
    }
    assert long == {}


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED, files("src", "lakerun/src")) == []


def test_the_checks_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (PICTOGRAPH, "\u2705 done"),
        (PICTOGRAPH, "go \U0001f680"),
        (MACHINE_PATH, "cd /" + "work/main"),
        (MACHINE_PATH, "file:///" + "root/data"),
        (TOKEN, "token: dapi" + "0123456789abcdef"),
        (WORKSPACE, "    host: https://example.com"),
        (WORKSPACE, "https://adb-1.2.azuredatabricks.net"),
        (UNFINISHED, "# TODO"),
    ],
)
def test_each_of_these_would_be_found(
    pattern: re.Pattern[str], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    (tmp_path / "note").write_bytes(b"plain \xff, as networks/work/es\n" + text.encode())
    assert lines_with(pattern, [tmp_path / "note"]) == ["note:2"]
