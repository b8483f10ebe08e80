"""Every argument of a pipeline's functions is carried out, without effect, or refused by name."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from pyspark import pipelines as dp

from lakerun.errors import LakerunError
from lakerun.patches import patched
from lakerun.pipelines.arguments import ARGUMENTS
from lakerun.pipelines.definitions import _EXTENSIONS, Definitions, load_definitions

REQUIRED = {
    "append_flow": "target='t'",
    "create_streaming_table": "'made'",
    "create_auto_cdc_flow": "'t', 's', keys=['id'], sequence_by='at'",
}
DECORATORS = ("table", "materialized_view", "temporary_view", "append_flow")


def of_effect(effect: str) -> list[tuple[str, str]]:
    return [
        (function, name)
        for function, arguments in ARGUMENTS.items()
        for name, support in arguments.items()
        if support.effect == effect
    ]


def load(folder: Path, source: str) -> Definitions:
    file = folder / "file.py"
    file.write_text(f"from pyspark import pipelines as dp\n{source}\n", encoding="utf-8")
    return load_definitions([file], None)  # type: ignore[arg-type]


def call(function: str, arguments: str) -> str:
    given = ", ".join(text for text in (REQUIRED.get(function), arguments) if text)
    if function in DECORATORS:
        return f"@dp.{function}({given})\ndef rows():\n    pass"
    return f"dp.{function}({given})"


def test_every_argument_of_pyspark_and_of_the_runtime_is_listed() -> None:
    """Fails for the arguments of a new version until it is decided what they do."""
    with patched(_EXTENSIONS):
        added = {patch.attribute for patch in _EXTENSIONS}
        functions = {name: getattr(dp, name) for name in {*dp.__all__, *added}}
        found = {name: set(inspect.signature(function).parameters) for name, function in functions.items()}
    plain = {name: set(inspect.signature(getattr(dp, name)).parameters) for name in dp.__all__}
    asked = {name: (found[name] | plain.get(name, set())) - {"options"} for name in found}
    asked["create_sink"] = plain["create_sink"]
    assert asked.keys() == ARGUMENTS.keys()
    assert {name: missing for name in asked if (missing := asked[name] - ARGUMENTS[name].keys())} == {}


def test_every_argument_has_a_reason() -> None:
    reasons = [support.reason for arguments in ARGUMENTS.values() for support in arguments.values()]
    assert [reason for reason in reasons if not reason.endswith(".")] == []


@pytest.mark.parametrize(
    ("function", "name"), [one for one in of_effect("refused") if one[0] != "create_sink"]
)
def test_a_refused_argument_is_named_with_its_place(tmp_path: Path, function: str, name: str) -> None:
    with pytest.raises(LakerunError, match=rf"{function}: {name}='x' is not supported here") as caught:
        load(tmp_path, call(function, f"{name}='x'"))
    assert caught.value.location == "file.py:2"


@pytest.mark.parametrize(("function", "name"), of_effect("refused"))
def test_a_refused_argument_that_is_none_is_accepted(tmp_path: Path, function: str, name: str) -> None:
    if function != "create_sink":
        load(tmp_path, call(function, f"{name}=None"))


@pytest.mark.parametrize(("function", "name"), of_effect("no effect"))
def test_an_argument_without_effect_is_noted(tmp_path: Path, function: str, name: str) -> None:
    (noted,) = load(tmp_path, call(function, f"{name}=True")).without_effect
    assert noted == f"{name} of {function} (file.py:2): {ARGUMENTS[function][name].reason}"


def test_delta_is_the_format_of_every_table(tmp_path: Path) -> None:
    assert load(tmp_path, call("table", "format='delta'")).without_effect == []
    with pytest.raises(LakerunError, match="format='parquet'"):
        load(tmp_path, call("materialized_view", "format='parquet'"))


def test_a_sink_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LakerunError, match="create_sink: 'out' is not supported here"):
        load(tmp_path, call("create_sink", "'out', 'kafka', {}"))


def test_an_unknown_argument_is_named(tmp_path: Path) -> None:
    with pytest.raises(LakerunError, match="'colour'"):
        load(tmp_path, call("table", "colour='red'"))


def test_settings_are_text_and_belong_to_flows_and_tables(tmp_path: Path) -> None:
    source = "dp.create_streaming_table('days', spark_conf={'a': 4, 'b': True})\n" + call(
        "table", "spark_conf={'c': 'd'}"
    )
    loaded: Any = load(tmp_path, source)
    assert loaded.datasets["days"].spark_conf == {"a": "4", "b": "true"}
    assert loaded.flows["rows"].spark_conf == {"c": "d"}
    assert (loaded.datasets["days"].location, loaded.flows["rows"].location) == ("file.py:2", "file.py:3")
