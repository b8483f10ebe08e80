"""An installed plugin with a union of tables, and tables for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from lakerun import plugins
from lakerun.tables.storage import Storage, TableName

PLUGIN = """
from lakerun.plugins import Plugin, TableUnion

def sql(tables):
    return " UNION ALL ".join(f"SELECT day, origin.place AS place, rain FROM {table}" for table in tables)

PLUGIN = Plugin(
    name="weather",
    unions={"readings": TableUnion(prefix="station_", columns=("day", "origin", "rain"), sql=sql)},
)
"""


@contextmanager
def weather(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """An empty data folder, and a plugin with a union of the tables `station_*`."""
    site = folder / "site"
    information = site / "weather-1.0.dist-info"
    information.mkdir(parents=True)
    (site / "weather_plugin.py").write_text(PLUGIN, encoding="utf-8")
    (information / "METADATA").write_text("Name: weather\nVersion: 1.0\n", encoding="utf-8")
    point = "[lakerun.plugins]\nweather = weather_plugin:PLUGIN\n"
    (information / "entry_points.txt").write_text(point, encoding="utf-8")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv(plugins.CHOSEN, "weather")
    plugins._loaded.cache_clear()
    yield Storage(folder / "home")
    plugins._loaded.cache_clear()


def station(
    storage: Storage, name: str, rain: list[int], schema: str = "shop.north", **more: list[Any]
) -> None:
    columns = {"day": list(range(len(rain))), "origin": [{"place": name}] * len(rain), "rain": rain, **more}
    path = storage.table_path(TableName(*schema.split("."), f"station_{name}"))
    write_deltalake(str(path), pa.table(columns))
