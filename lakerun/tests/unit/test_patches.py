"""The registry of patches: contexts apply and undo them in any order, and nothing else is patched."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import ExitStack, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

import lakerun
from lakerun.console import Console, console
from lakerun.patches import MISSING, PATCHES, Patch, importable, patched


class Library:
    """The tests patch its attributes."""

    @classmethod
    def name(cls) -> str:
        return cls.__name__


NAME = Patch("unit.test_patches:Library", "name", "to test it")
ADDED = Patch("unit.test_patches:Library", "added", "to test it")


def own_name(original: object) -> object:
    return staticmethod(lambda: f"own {original()}")  # type: ignore[operator]


@pytest.fixture
def untouched() -> Iterator[None]:
    before = vars(Library)["name"]
    yield
    assert vars(Library)["name"] is before
    assert isinstance(before, classmethod)


@pytest.mark.usefixtures("untouched")
def test_an_attribute_is_replaced_and_then_restored() -> None:
    with patched({NAME: own_name}):
        assert Library.name() == "own Library"
        with patched({NAME: own_name}):
            assert Library.name() == "own Library"
        assert Library.name() == "own Library"
    assert Library.name() == "Library"


@pytest.mark.usefixtures("untouched")
def test_contexts_may_end_in_the_order_in_which_they_began() -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(patched({NAME: own_name}))
    second.enter_context(patched({NAME: own_name}))
    first.close()
    assert Library.name() == "own Library"
    second.close()
    assert Library.name() == "Library"


@pytest.mark.usefixtures("untouched")
def test_an_error_undoes_the_patch() -> None:
    with pytest.raises(ZeroDivisionError), patched({NAME: own_name}):
        1 / 0  # noqa: B018


def test_an_attribute_that_did_not_exist_is_removed() -> None:
    with patched({ADDED: lambda found: found is MISSING}):
        assert Library.added is True  # type: ignore[attr-defined]
    assert not hasattr(Library, "added")


def test_streams_are_restored_after_others_replaced_them() -> None:
    """A task that redirects its output ends before a task that began during it."""
    before = sys.stdout
    own, redirected = StringIO(), StringIO()
    outer, redirection, inner = ExitStack(), ExitStack(), ExitStack()
    outer.enter_context(console(Console()))
    redirection.enter_context(redirect_stdout(redirected))
    inner.enter_context(console(Console(stdout=own)))
    print("for the inner")
    redirection.close()
    inner.close()
    outer.close()
    assert sys.stdout is before
    assert (own.getvalue(), redirected.getvalue()) == ("for the inner\n", "")


def test_a_shared_import_folder_stays_until_its_last_user_ends(tmp_path: Path) -> None:
    before = list(sys.path)
    first, second = ExitStack(), ExitStack()
    first.enter_context(importable(tmp_path))
    second.enter_context(importable(tmp_path))
    first.close()
    assert sys.path == [str(tmp_path), *before]
    second.close()
    assert sys.path == before


def test_each_patch_has_a_reason_and_an_attribute_of_its_own() -> None:
    assert len({(patch.target, patch.attribute) for patch in PATCHES}) == len(PATCHES)
    assert [patch for patch in PATCHES if not patch.reason.endswith(".")] == []
    assert [patch.attribute for patch in PATCHES if patch.permanent] == [
        "getActiveSession",
        "__getattr__",
        "__getattr__",
    ]


# Not patches: they add something for the rest of the process, or restore the previous value.
ADDITIONS = {
    "jobs/task_process.py: sys.path",  # a task's packages; as it was before the tasks that have ended
    "workspace/worker.py: sys.path",  # the deployed wheels
    "spark/active_session.py: SparkSession._activeSession",  # where PySpark itself keeps it
    "spark/session.py: SparkContext._gateway",  # of a JVM that has ended
    "spark/session.py: SparkContext._jvm",
    "jobs/notebooks.py: linecache.cache",  # a cell's lines, for traces
    "volumes/libraries.py: sys.meta_path",  # changes libraries in C when they are imported
}


def test_nothing_is_patched_outside_of_the_registry() -> None:
    root = Path(lakerun.__file__).parent
    found = {
        f"{file.relative_to(root)}: {changed}"
        for file in root.rglob("*.py")
        if file.name != "patches.py"
        for changed in changes_of_others(file.read_text(encoding="utf-8"))
    }
    assert found == ADDITIONS


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        ("import sys\nsys.stdout = None", "sys.stdout"),
        ("import sys\nsys.path.insert(0, '')", "sys.path"),
        ("import sys\nsys.path[:0] = ['']", "sys.path"),
        ("import sys\nsys.modules['pyspark'] = None", "sys.modules"),
        ("from pyspark.sql import SparkSession\nSparkSession.sql = print", "SparkSession.sql"),
        ("from pyspark.sql import SparkSession as S\nsetattr(S, 'sql', print)", "setattr(S)"),
        (
            "def f():\n    from pyspark import sql\n    sql.SparkSession.Builder.x = 1",
            "sql.SparkSession.Builder.x",
        ),
        ("from lakerun import program\nprogram.name = 1\nimport os\nos.environ['A'] = 'b'", None),
    ],
)
def test_the_search_for_patches_finds_them(code: str, changed: str | None) -> None:
    assert changes_of_others(code) == ({changed} if changed else set())


def changes_of_others(code: str) -> set[str]:
    """The attributes of imports from outside of lakerun that code assigns or changes."""
    tree = ast.parse(code)
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("lakerun"):
            imported |= {alias.asname or alias.name for alias in node.names}
    found = set()
    for node in ast.walk(tree):
        targets: list[ast.expr] = []
        match node:
            case ast.Assign():
                targets = node.targets
            case ast.AugAssign() | ast.AnnAssign():
                targets = [node.target]
            case ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=name), *_]) if name in imported:
                found.add(f"setattr({name})")
            case ast.Call(func=ast.Attribute(value=ast.Attribute() as changed, attr="insert" | "append")):
                targets = [changed]
        for target in targets:
            if isinstance(target, ast.Subscript):
                target = target.value
            text = ast.unparse(target)
            if isinstance(target, ast.Attribute) and text.partition(".")[0] in imported:
                found.add(text)
    return found - {"os.environ"}
