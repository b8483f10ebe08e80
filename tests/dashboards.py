"""The shop's dashboards as the tests run them: their queries, and those of the widgets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".lvdash.json"


@dataclass(frozen=True)
class DashboardDataset:
    """A query that a dashboard shows, in Databricks SQL."""

    name: str
    sql: str


@dataclass(frozen=True)
class WidgetQuery:
    """A widget's query on a dataset: expressions by the names under which it shows them."""

    widget: str
    dataset: str
    fields: Mapping[str, str]
    disaggregated: bool

    def sql(self, dataset_sql: str) -> str:
        """The query that a dashboard sends for this widget."""
        shown = ", ".join(f"{expression} AS `{name}`" for name, expression in self.fields.items())
        grouped = "" if self.disaggregated else " GROUP BY ALL"
        return f"SELECT {shown} FROM (\n{dataset_sql}\n) AS data{grouped}"


@dataclass(frozen=True)
class Dashboard:
    """A dashboard file that could be read."""

    name: str
    datasets: tuple[DashboardDataset, ...]
    queries: tuple[WidgetQuery, ...]


def dashboard_files(root: Path) -> list[Path]:
    """Every dashboard in the bundle's sources."""
    return sorted((root / "src").rglob(f"*{SUFFIX}"))


def read_dashboard(file: Path) -> Dashboard:
    """The datasets and widgets' queries of a dashboard file."""
    content = json.loads(file.read_text(encoding="utf-8"))
    return Dashboard(
        name=file.name.removesuffix(SUFFIX),
        datasets=tuple(
            DashboardDataset(item["name"], "".join(item["queryLines"])) for item in content["datasets"]
        ),
        queries=tuple(
            WidgetQuery(
                widget["name"],
                asked["query"]["datasetName"],
                {field["name"]: field["expression"] for field in asked["query"]["fields"]},
                bool(asked["query"].get("disaggregated")),
            )
            for page in content["pages"]
            for widget in (placed["widget"] for placed in page["layout"])
            for asked in widget.get("queries", [])
        ),
    )
