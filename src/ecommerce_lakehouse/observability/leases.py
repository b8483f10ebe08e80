"""A lease in a Delta table, for what only one run at a time may do: `Lease`.

Delta lets one of two concurrent commits win, so two runs cannot both take it. A run that is killed keeps its
lease until it expires.
"""

from __future__ import annotations

import threading
import uuid
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ecommerce_lakehouse.observability.lakehouse import BusyError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SECONDS = 300
RENEWED = 60.0


class Lease:
    """The lease `name` in the table with this reference, from `with` to the end of `with`.

    Raises BusyError if another run holds it.
    """

    def __init__(self, spark: SparkSession, reference: str, name: str, *, seconds: int = SECONDS) -> None:
        self._spark, self._reference, self._name, self._seconds = spark, reference, name, seconds
        self._holder = uuid.uuid4().hex
        self._ended = threading.Event()
        self._renewal = threading.Thread(target=self._renew, daemon=True)

    def __enter__(self) -> Self:
        from pyspark.errors import PySparkException

        table, later = self._reference, f"current_timestamp() + INTERVAL {self._seconds} SECONDS"
        self._spark.sql(
            f"CREATE TABLE IF NOT EXISTS {table} (name string, holder string, expires timestamp) USING DELTA"
        )
        try:
            self._spark.sql(f"""
                MERGE INTO {table} AS t
                USING (SELECT '{self._name}' AS name, '{self._holder}' AS holder, {later} AS expires) AS s
                ON t.name = s.name
                WHEN MATCHED AND t.expires < current_timestamp() THEN UPDATE SET *
                WHEN NOT MATCHED THEN INSERT *
            """)
        except PySparkException as error:
            if "CONCURRENT" not in str(error).upper():
                raise
        held = self._spark.table(self._reference).where(f"name = '{self._name}'").collect()
        if not held or held[0]["holder"] != self._holder:
            until = f" until {held[0]['expires']:%H:%M:%S}" if held else ""
            raise BusyError(
                f"Another {self._name} holds {self._reference.replace('`', '')}{until}; wait for its end."
            )
        self._renewal.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._renewal.join()
        self._spark.sql(
            f"DELETE FROM {self._reference} WHERE name = '{self._name}' AND holder = '{self._holder}'"
        )

    def _renew(self) -> None:
        while not self._ended.wait(min(RENEWED, self._seconds / 3)):
            # It lasts for several renewals, so one that fails is made up for by the next.
            with suppress(Exception):
                self._spark.sql(
                    f"UPDATE {self._reference} "
                    f"SET expires = current_timestamp() + INTERVAL {self._seconds} SECONDS "
                    f"WHERE name = '{self._name}' AND holder = '{self._holder}'"
                )
