"""When auto CDC's table gets a new column, or a new field in a struct, however deep."""

from __future__ import annotations

import pytest
from pyspark.sql.types import (
    ArrayType,
    DataType,
    IntegerType,
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
)

from lakerun.pipelines.auto_cdc import _lacks

INT, TEXT = IntegerType(), StringType()


def struct(**fields: DataType) -> StructType:
    return StructType([StructField(name, kind) for name, kind in fields.items()])


OWN = struct(
    id=INT,
    place=struct(city=TEXT),
    many=ArrayType(struct(a=INT)),
    named=MapType(struct(k=INT), struct(v=INT)),
)


@pytest.mark.parametrize(
    "new",
    [
        struct(tier=TEXT),
        struct(place=struct(city=TEXT, street=TEXT)),
        struct(many=ArrayType(struct(a=INT, b=INT))),
        struct(named=MapType(struct(k=INT, l=INT), struct(v=INT))),
        struct(named=MapType(struct(k=INT), struct(v=INT, w=INT))),
        struct(id=INT, many=ArrayType(struct(b=INT)), place=struct(city=TEXT)),
    ],
)
def test_a_new_field_is_lacking(new: StructType) -> None:
    assert _lacks(OWN, new) is True


@pytest.mark.parametrize(
    "known",
    [
        OWN,
        struct(ID=LongType()),
        struct(PLACE=struct(CITY=TEXT), id=INT),
        # Another type is not a new field.
        struct(id=struct(a=INT), place=TEXT),
        struct(many=TEXT, id=ArrayType(INT)),
        struct(named=INT, place=MapType(TEXT, INT)),
        struct(),
    ],
)
def test_fewer_fields_other_capitals_and_other_types_are_not(known: StructType) -> None:
    assert _lacks(OWN, known) is False
