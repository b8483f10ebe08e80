"""What auto CDC flows declare: columns that reach the target, and settings that flows of a table share."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql.types import IntegerType, LongType, StringType, StructField, StructType

from lakerun.errors import GraphError
from lakerun.pipelines.change_flows import change_target_schema, check_change_flows, output_columns
from lakerun.pipelines.definitions import AutoCdc, FlowDefinition
from lakerun.tables.storage import TableName

TABLE = TableName("main", "shop", "people")
COLUMNS = ["id", "Name", "city", "at"]


def flow(name: str = "crm", line: int = 1, **cdc: Any) -> FlowDefinition:
    settings = AutoCdc(**{"source": "changes", "keys": ("id",), "sequence_by": "at"} | cdc)
    return FlowDefinition(name, "people", f"lab.py:{line}", None, settings)


@pytest.mark.parametrize(
    ("cdc", "expected"),
    [
        ({}, ["id", "Name", "city", "at"]),
        ({"column_list": ("city", "ID")}, ["city", "id"]),
        ({"except_column_list": ("AT", "name")}, ["id", "city"]),
        ({"keys": ("ID",), "track_history": ("name",), "track_history_except": ("CITY",)}, COLUMNS),
        ({"track_history_except": ("at",), "except_column_list": ("at",)}, ["id", "Name", "city"]),
    ],
)
def test_the_columns_of_the_source_reach_the_target(cdc: dict[str, Any], expected: list[str]) -> None:
    assert output_columns(flow(**cdc), COLUMNS) == expected


@pytest.mark.parametrize(
    "setting", ["keys", "column_list", "except_column_list", "track_history", "track_history_except"]
)
def test_a_setting_that_names_no_column_is_refused(setting: str) -> None:
    with pytest.raises(GraphError) as caught:
        output_columns(flow(line=7, **{setting: ("id", "nmae")}), COLUMNS)
    assert str(caught.value) == (
        "lab.py:7: auto CDC flow 'crm': Unknown column 'nmae'. Did you mean 'Name'? "
        "Valid: Name, at, city, id."
    )


@pytest.mark.parametrize(
    ("cdc", "name"),
    [
        ({"column_list": ("name",)}, "id"),
        ({"except_column_list": ("ID",)}, "id"),
        ({"keys": ("id", "At"), "except_column_list": ("at",)}, "At"),
        ({"track_history": ("name", "city"), "column_list": ("id", "name")}, "city"),
    ],
)
def test_a_key_and_a_column_with_history_must_reach_the_target(cdc: dict[str, Any], name: str) -> None:
    with pytest.raises(GraphError) as caught:
        output_columns(flow(line=7, **cdc), COLUMNS)
    assert str(caught.value) == (
        f"lab.py:7: auto CDC flow 'crm': column '{name}' is a key or has history, "
        "so the lists of columns must not leave it out."
    )


def test_a_target_with_history_has_two_more_columns_of_the_sequences_type() -> None:
    source = StructType([StructField("id", IntegerType()), StructField("at", StringType())])
    own = [("id", "int")]
    current = change_target_schema(flow(except_column_list=("at",)), source, LongType())
    assert [(field.name, field.dataType.simpleString()) for field in current] == own
    versions = change_target_schema(flow(except_column_list=("at",), scd_type=2), source, LongType())
    assert [(field.name, field.dataType.simpleString()) for field in versions] == [
        *own,
        ("__START_AT", "bigint"),
        ("__END_AT", "bigint"),
    ]


@pytest.mark.parametrize(
    ("setting", "value", "differ"),
    [
        ("keys", ("id", "city"), "keys: ('id',) and ('id', 'city')"),
        ("scd_type", 2, "stored_as_scd_type: 1 and 2"),
        ("ignore_null_updates", True, "ignore_null_updates: False and True"),
        ("track_history", ("city",), "track_history_column_list: None and ('city',)"),
        ("track_history_except", ("city",), "track_history_except_column_list: () and ('city',)"),
    ],
)
def test_flows_of_a_table_have_the_same_settings(setting: str, value: Any, differ: str) -> None:
    equal = flow("equal", 2, sequence_by="id", column_list=("id",), apply_as_deletes="gone")
    check_change_flows(TABLE, [flow(), equal])
    with pytest.raises(GraphError) as caught:
        check_change_flows(TABLE, [flow(), equal, flow("other", 3, **{setting: value})])
    assert str(caught.value) == (
        f"lab.py:3: auto CDC flows 'crm' and 'other' into 'main.shop.people' differ in {differ}."
    )


def test_a_table_has_auto_cdc_flows_or_others() -> None:
    plain = FlowDefinition("load", "people", "lab.py:4", lambda: None)
    check_change_flows(TABLE, [plain, plain])
    message = (
        "lab.py:{}: 'main.shop.people' has auto CDC flows and other flows; a table can only have one kind."
    )
    for flows, line in (([plain, plain, flow(line=5)], 5), ([flow(), plain], 4)):
        with pytest.raises(GraphError) as caught:
            check_change_flows(TABLE, flows)
        assert str(caught.value) == message.format(line)
