"""Names of tables in statements, found by a parser: which they are, and which of them lack an alias."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lakerun.spark.named_tables import named_tables


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT 'é', * FROM (SELECT 1) s, `a`.b, c AS d", "`a`.b* c"),
        ("SELECT * FROM range(3), a . b WHERE x IS DISTINCT FROM y", "a.b*"),
        ("SELECT * FROM a VERSION AS OF 0, b TABLESAMPLE (5 ROWS), c", "a b c*"),
        ("SELECT /*+ BROADCAST(a) */ EXTRACT(DAY FROM day) FROM a -- FROM b", "a*"),
        ("WITH a AS (SELECT * FROM a), b AS (SELECT * FROM a) SELECT * FROM b, c.b", "a* c.b*"),
        ("FROM a SELECT id", "a*"),
        ("MERGE INTO a USING (SELECT 1 AS n) s ON a.n = s.n WHEN MATCHED THEN DELETE", "a*"),
        ("MERGE INTO a t USING b ON t.n = b.n WHEN MATCHED THEN DELETE", "a b*"),
        ("INSERT INTO a (n) SELECT n FROM b", "a b*"),
        ("WITH w AS (SELECT 1) INSERT INTO a SELECT * FROM w, b", "a b*"),
        ("UPDATE a SET n = (SELECT max(n) FROM b)", "a* b*"),
        ("DELETE FROM a WHERE a.n IN (SELECT n FROM b)", "a* b*"),
        ("CREATE OR REPLACE TABLE a AS SELECT * FROM a", "a*"),
        ("CREATE TABLE a (n INT)", ""),
        ("CREATE TABLE a SHALLOW CLONE b", "b"),
        ("CREATE OR REPLACE TEMPORARY VIEW v AS SELECT * FROM a JOIN b USING (n)", "a* b*"),
    ],
)
def test_every_name_of_a_table_is_found(statement: str, names: str) -> None:
    found = named_tables(statement)
    assert found is not None
    assert " ".join(table.name + "*" * table.needs_alias for table in found) == names
    texts = [statement[table.start : table.end].replace(" ", "") for table in found]
    assert texts == [table.name for table in found]


@pytest.mark.parametrize(
    "statement",
    ["OPTIMIZE a", "DESCRIBE HISTORY a", "SELECT * FROM a WHERE (", "SHOW COLUMNS IN a", "SELECT 'no end"],
)
def test_what_the_parser_does_not_know_is_left_to_the_words(statement: str) -> None:
    assert named_tables(statement) is None


def test_nothing_is_parsed_or_printed_where_no_table_can_be_named() -> None:
    code = (
        "import sys; from lakerun.spark.names import prepared, named_tables\n"
        "named_tables('SET a = b'); print('sqlglot' in sys.modules)\n"
        "print(named_tables('CREATE TABLE a WITH nothing that is SQL'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("False\nNone\n", "")
