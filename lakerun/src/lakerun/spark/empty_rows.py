"""Empty DataFrames with a given schema: `empty_rows`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType


def empty_rows(session: SparkSession, schema: StructType, folder: Path, streaming: bool) -> DataFrame:
    """An empty DataFrame with a schema, as a batch or as a stream."""
    from pyspark.sql import DataFrame

    if streaming:
        return session.readStream.schema(schema).format("parquet").load(str(folder))
    java: Any = session._jsparkSession
    jvm: Any = session._jvm
    return DataFrame(
        java.createDataFrame(jvm.java.util.ArrayList(), java.parseDataType(schema.json())), session
    )
