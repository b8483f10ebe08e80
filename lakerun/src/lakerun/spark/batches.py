"""How much one micro-batch of a table's stream may read: `bound_batch`."""

from __future__ import annotations

from typing import Any

from lakerun.spark.memory import heap_bytes

# Of the heap: Parquet grows about tenfold in memory, and a MERGE sorts a batch against the table's rows.
PART_OF_HEAP = 48
LIMITS = ("maxbytespertrigger", "maxfilespertrigger")


def bound_batch(reader: Any) -> Any:
    """The stream's reader with a limit of bytes, in proportion to the heap, unless the query has set one.

    Without a limit, a stream that starts reads the whole table as one batch, whatever its size.
    """
    options = reader._jreader.extraOptions()
    if any(options.contains(limit) for limit in LIMITS):
        return reader
    heap = reader._spark.conf.get("spark.driver.memory", "2g").lower()
    return reader.option("maxBytesPerTrigger", str(max(1, heap_bytes(heap) // PART_OF_HEAP)))
