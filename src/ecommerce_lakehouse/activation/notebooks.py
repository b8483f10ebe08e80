"""What the notebooks in `src/notebooks/customer_io` share: `start`, `SendRows`, and tables to show."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.models import Message
from ecommerce_lakehouse.activation.customerio.registry import Category, Event, events_of
from ecommerce_lakehouse.activation.customerio.settings import Settings
from ecommerce_lakehouse.activation.errors import StillDueError
from ecommerce_lakehouse.activation.managers.batch import BatchManager
from ecommerce_lakehouse.activation.managers.setup import settings_from
from ecommerce_lakehouse.config import LakehouseConfig, get_config, widget_environment
from ecommerce_lakehouse.config.settings import Layer
from ecommerce_lakehouse.errors import ShopError, first_line

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]
    from pyspark.sql import DataFrame, SparkSession

CONSENTS: tuple[Layer, str] = ("gold", "marketing_consents")
# Fixed for ever: a message that is sent again has the id that it had.
_NAMESPACE = uuid.UUID("5f0c3f57-96c1-4a0b-8a55-0d0f2a6b9d11")


class RejectedRowsError(ShopError):
    """Customer.io does not take rows of a micro-batch, and the stream is told to stop there."""

    code = "REJECTED_ROWS"


@dataclass(frozen=True)
class Start:
    """What every notebook works with: the lakehouse's settings, Customer.io's, and how many rows it sends."""

    config: LakehouseConfig
    settings: Settings
    rows: int

    def people(
        self,
        spark: SparkSession,
        table: tuple[Layer, str],
        columns: str,
        invented: Sequence[tuple[Any, ...]],
        *,
        channel: Literal["email", "push", "sms"] = "email",
    ) -> DataFrame:
        """Rows of a table about people who granted this channel, at most `rows`; else invented rows.

        Args:
            spark: The session.
            table: Layer and entity.
            columns: The columns that are needed, as DDL; `customer_id` is one of them.
            invented: The rows that stand in while the table, or the table of consents, does not exist.
            channel: What the people have granted. No row of anybody else is read.
        """
        from pyspark.sql import functions as F  # noqa: N812

        names = [self.config.get_table_name(*each) for each in (CONSENTS, table)]
        if missing := [name for name in names if not spark.catalog.tableExists(name)]:
            print(f"There is no {' and no '.join(missing)} yet: the rows below are invented.")
            return spark.createDataFrame(list(invented), columns)
        granted = spark.table(names[0]).where(F.col("channel") == channel).select("customer_id").distinct()
        found = spark.table(names[1]).select(*_names(columns)).join(granted, "customer_id", "left_semi")
        return found.limit(self.rows)

    def table(
        self, spark: SparkSession, table: tuple[Layer, str], columns: str, invented: Sequence[tuple[Any, ...]]
    ) -> DataFrame:
        """Rows of a table that is not about people, at most `rows`; else invented rows."""
        name = self.config.get_table_name(*table)
        if not spark.catalog.tableExists(name):
            print(f"There is no {name} yet: the rows below are invented.")
            return spark.createDataFrame(list(invented), columns)
        return spark.table(name).select(*_names(columns)).limit(self.rows)

    def arrive(self, folder: str, rows: Iterable[Mapping[str, Any]]) -> tuple[str, str]:
        """Write rows as a new file of JSON lines into a folder of the volume, as another program would.

        Returns:
            The folder, to stream from, and a folder for the stream's checkpoint.
        """
        place = Path(self.config.folder_path("customer_io_examples")) / folder
        (place / "arrived").mkdir(parents=True, exist_ok=True)
        text = "".join(f"{json.dumps(row)}\n" for row in rows)
        (place / "arrived" / f"{uuid.uuid4()}.json").write_text(text, encoding="utf-8")
        return str(place / "arrived"), str(place / "checkpoint")


def start(dbutils: Any, environment: Mapping[str, str] = os.environ) -> Start:
    """Offer the widgets of the notebooks, and read them.

    The widgets: `environment`, `catalog` and `schema` say where tables are; `region` is `us`, `eu` or empty
    for what the key says; `secret_scope` and `secret_key` name the key's secret, which counts where the
    variable CUSTOMERIO_KEY is not set; `mode` is strict or permissive; `rows` limits what an example sends.

    Raises:
        NoKeyError: The key is missing.
        ConfigurationError: The key is of another region.
    """
    config = get_config(widget_environment(dbutils))
    widgets = dbutils.widgets
    widgets.text("catalog", config.catalog, "Catalog")
    widgets.text("schema", config.schema, "Schema (a development deployment has a prefix)")
    widgets.dropdown(
        "region", config.customerio_region or "", ["", "us", "eu"], "Region (empty: what the key says)"
    )
    widgets.text("secret_scope", config.secret_scope, "Scope of the secret with the key")
    widgets.text("secret_key", config.customerio_key, "Name of the secret with the key")
    widgets.dropdown("mode", "strict", ["strict", "permissive"], "Mode of the API")
    widgets.text("rows", "20", "Rows that an example sends at most")

    def secret() -> str | None:
        try:
            return str(dbutils.secrets.get(widgets.get("secret_scope"), widgets.get("secret_key")))
        except Exception as error:  # Databricks' own class is not in its public API
            print(f"No secret: {first_line(error)}")
            return None

    settings = settings_from(
        environment.get,
        secret,
        region=widgets.get("region"),
        base_url=config.customerio_base_url,
        strict=widgets.get("mode") == "strict",
    )
    place = {name: widgets.get(name) for name in ("catalog", "schema")}
    return Start(config.model_copy(update=place), settings, int(widgets.get("rows")))


@dataclass(frozen=True)
class SendRows:
    """Sends the rows of each micro-batch of a stream: `stream.writeStream.foreachBatch(SendRows(...))`.

    A micro-batch counts as done only when every message of it is settled. Otherwise it raises, and the stream
    sends the whole micro-batch again when it is started again, so each message needs an id that does not
    change: see `message_id`. It holds settings and no open client, because serverless compute sends it to
    another process.

    Args:
        settings: Where to send.
        message: Makes a row, as a dict, into a message; None sends nothing for this row.
        rejected: What happens when Customer.io does not take a row: `stop` the stream, or `skip` the row.
    """

    settings: Settings
    message: Callable[[dict[str, Any]], Message | Mapping[str, Any] | None]
    rejected: Literal["stop", "skip"] = "stop"

    def __call__(self, rows: DataFrame, batch: int) -> None:
        """Send one micro-batch.

        Raises:
            StillDueError: Not every message is settled.
            RejectedRowsError: Customer.io does not take a row, and `rejected` is `stop`.
            CustomerIOError: Sending cannot go on.
        """
        refused: list[str] = []
        with Client(self.settings) as client:
            summary = BatchManager(client).send(self._messages(rows, refused))
        if summary.due:
            raise StillDueError(
                f"{summary.due} messages of micro-batch {batch} are still due; start the stream again"
            )
        bad = len(refused) + sum(summary.outcomes[name] for name in ("rejected", "invalid"))
        if bad and self.rejected == "stop":
            raise RejectedRowsError(
                f"Customer.io does not take {bad} rows of micro-batch {batch}; correct them, or skip "
                "them with rejected='skip'"
            )

    def _messages(self, rows: DataFrame, refused: list[str]) -> Iterator[Message | Mapping[str, Any]]:
        for row in rows.toLocalIterator():
            try:
                message = self.message(row.asDict(recursive=True))
            except ValueError as error:
                refused.append(str(error))
                continue
            if message is not None:
                yield message


def message_id(*parts: object) -> str:
    """The messageId of what these parts identify, such as an order's id and status: always the same."""
    return str(uuid.uuid5(_NAMESPACE, json.dumps([str(part) for part in parts])))


def event_reference(*events: Category | Event[Any]) -> pd.DataFrame:
    """What Customer.io documents of events, or of all events of a category: a row per event."""
    chosen = [e for one in events for e in ([one] if isinstance(one, Event) else events_of(one))]
    rows: list[tuple[str, str, str]] = []
    for event in chosen:
        part = f"context.{event.context[0]}." if event.context else ""
        fields = [("", field) for field in event.fields()]
        fields += [(part, field) for field in event.context_fields()]
        words = [
            f"{before}{field.name} ({field.kind}{', required' * field.required})" for before, field in fields
        ]
        rows.append((event.name, event.meaning, ", ".join(words)))
    return as_table(rows, "event", "meaning", "fields")


def as_table(rows: Iterable[Any], *columns: str) -> pd.DataFrame:
    """Rows as a small table to display; rows may be tuples, or objects with these attributes."""
    import pandas as pd

    data = [row if isinstance(row, tuple) else tuple(getattr(row, name) for name in columns) for row in rows]
    return pd.DataFrame(data, columns=list(columns))


def metrics_table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """What `get_metrics` of a manager counts, as a table: a row per operation."""
    rows = [
        (
            metrics["manager"],
            operation,
            counted["calls"],
            ", ".join(f"{name} {count}" for name, count in counted["messages"].items()),
            round(1000 * counted["mean_seconds"], 1),
        )
        for operation, counted in metrics["calls"].items()
    ]
    return as_table(rows, "manager", "operation", "calls", "messages", "mean_ms")


def _names(columns: str) -> list[str]:
    """The names in a DDL of columns."""
    return [part.split()[0] for part in columns.split(",")]
