"""Recognizes erased people in rows, by keyed hashes: `without_erased`, `is_erased`, `names_erased`."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.erased import Erased, erased_people
from ecommerce_lakehouse.domain.personal import PERSON

BLANK = " \t\r\n"  # as the pipelines trim values
BLOCK = 64  # bytes of a block of SHA-256
# In a line that is not JSON, or that gives the field twice.
GIVEN = rf'"{PERSON}"\s*:\s*(?:"((?:[^"\\]|\\.)*)"|([\w.+-]+))'


def without_erased(rows: DataFrame, column: str, config: LakehouseConfig) -> DataFrame:
    """The rows whose customer id, a STRING in `column`, is nobody's who was erased.

    A sync calls it on whatever it is about to send. Rows without an id stay. Raises PrivacySecretError if
    people were erased and the secret is missing.
    """
    people = erased_people(config)
    return rows if people is None else rows.where(~is_erased(rows[column], people))


def erased(rows: DataFrame, column: str, config: LakehouseConfig) -> DataFrame:
    """The rows that `without_erased` leaves out."""
    people = erased_people(config)
    return rows.limit(0) if people is None else rows.where(is_erased(rows[column], people))


def is_erased(customer_id: Column, people: Erased) -> Column:
    """Whether a customer's id, a STRING, is that of somebody erased; never NULL."""
    return F.coalesce(
        keyed_hash(F.trim(customer_id, F.lit(BLANK)), people.key).isin(*sorted(people.hashes)), F.lit(False)
    )


def names_erased(raw_line: Column, people: Erased) -> Column:
    """Whether a raw line (BINARY) gives the id of somebody erased, be it JSON or not; never NULL."""
    text = F.make_valid_utf8(raw_line.cast("string"))
    read = F.from_json(text, f"struct<{PERSON}:string>").getField(PERSON)
    quoted, bare = (F.regexp_extract_all(text, F.lit(GIVEN), group) for group in (F.lit(1), F.lit(2)))
    given = F.concat(F.transform(quoted, _unescaped), bare, F.array(read))
    return F.coalesce(F.exists(given, lambda value: is_erased(value, people)), F.lit(False))


def _unescaped(value: Column) -> Column:
    """The text that stands between two quotes of JSON."""
    return F.from_json(F.concat(F.lit('["'), value, F.lit('"]')), "array<string>").getItem(0)


def keyed_hash(value: Column, key: bytes) -> Column:
    """HMAC with SHA-256 over a text in UTF-8, in hexadecimal digits, as `config.erased` computes it."""
    block = key.ljust(BLOCK, b"\0")
    inner, outer = (F.lit(bytearray(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
    first = F.unhex(F.sha2(F.concat(inner, F.encode(value, "UTF-8")), 256))
    return F.sha2(F.concat(outer, first), 256)
