"""The `samples` catalog that every workspace has on Databricks, here with invented rows: `provide_sample`.

A table is made when something first names it. Its rows are always the same, and nothing writes to it.
"""

from __future__ import annotations

import random
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from lakerun.errors import LakerunError, UnknownNameError

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLES = "samples"
TRIPS = (SAMPLES, "nyctaxi", "trips")
_ROWS = 2_000
_START = datetime(2016, 1, 1, tzinfo=UTC)
_ZIPS = (10001, 10003, 10011, 10016, 10019, 10023, 10065, 10103, 10110, 10119, 11201, 11371)


def provide_sample(home: Path, path: Path, name: tuple[str, str, str]) -> None:
    """Make the table at `path` unless it is there; UnknownNameError for a name that has no sample here."""
    if (path / "_delta_log").is_dir():
        return
    if name != TRIPS:
        raise UnknownNameError("sample table", ".".join(name), [".".join(TRIPS)])
    from deltalake import write_deltalake

    home.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=".sample-", dir=home))
    try:
        write_deltalake(made / "table", _trips(), description="Invented taxi trips")
        path.parent.mkdir(parents=True, exist_ok=True)
        (made / "table").rename(path)  # at once, so that a kill or another process sees all of it or nothing
    except OSError:
        if not (path / "_delta_log").is_dir():
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_writable(catalog: str) -> None:
    """Raises LakerunError for the catalog of samples, to which nothing can be written."""
    if catalog.lower() == SAMPLES:
        raise LakerunError(f"The catalog '{SAMPLES}' can only be read: write to a catalog of your own.")


def _trips() -> pa.Table:
    """Trips of January and February 2016: miles, US dollars, ZIP codes."""
    import pyarrow as pa

    draw = random.Random(20160101)
    rows = []
    for _ in range(_ROWS):
        start = _START + timedelta(seconds=draw.randrange(60 * 24 * 3600))
        miles = round(min(0.4 + draw.expovariate(0.4), 30.0), 2)
        minutes = miles * draw.uniform(3.0, 6.0)
        fare = round((2.5 + 2.0 * miles + 0.3 * minutes) * 2) / 2  # whole half dollars, as a meter counts
        end = start + timedelta(seconds=round(minutes * 60))
        rows.append((start, end, miles, fare, *draw.choices(_ZIPS, k=2)))
    rows.sort()
    schema = pa.schema(
        {
            "tpep_pickup_datetime": pa.timestamp("us", "UTC"),
            "tpep_dropoff_datetime": pa.timestamp("us", "UTC"),
            "trip_distance": pa.float64(),
            "fare_amount": pa.float64(),
            "pickup_zip": pa.int32(),
            "dropoff_zip": pa.int32(),
        }
    )
    return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema)
