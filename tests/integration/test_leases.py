"""Only one run at a time, by a table in which Delta lets one of two commits win."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.observability.lakehouse import BusyError
from ecommerce_lakehouse.observability.leases import Lease
from lakerun.spark.task_tables import lakehouse_tables
from lakerun.tables.storage import Storage

pytestmark = pytest.mark.long
TABLE = "`local`.`data_eng`.`activation_leases`"


def test_a_second_run_is_refused_until_the_first_one_ends_or_its_lease_expires(
    spark: SparkSession, home: Path
) -> None:
    with lakehouse_tables(Storage.default()):
        with Lease(spark, TABLE, "activation"):
            with Lease(spark, TABLE, "other"):
                assert spark.table(TABLE).count() == 2
            with pytest.raises(
                BusyError, match=r"Another activation holds local\.data_eng\.activation_leases"
            ):
                Lease(spark, TABLE, "activation").__enter__()
        assert spark.table(TABLE).count() == 0
        # As a run that was killed leaves it.
        spark.sql(f"INSERT INTO {TABLE} VALUES ('activation', 'gone', TIMESTAMP '2024-05-01 12:00:00')")
        with Lease(spark, TABLE, "activation"):
            (held,) = spark.table(TABLE).collect()
            assert (held["name"], held["holder"] != "gone") == ("activation", True)
        spark.sql(f"INSERT INTO {TABLE} VALUES ('activation', 'new', TIMESTAMP '9999-01-01 00:00:00')")
        with pytest.raises(BusyError, match="until 00:00:00"):
            Lease(spark, TABLE, "activation").__enter__()
