"""Writes the parts of the documents that come from the code: `uv run python -m tools.generate_docs`.

docs/tables.md          every table that the pipelines declare
docs/configuration.md   the table of environments, between its two markers
docs/command_line.md    the table of commands, between its two markers
docs/sql.md             the functions that need no Spark, between its two markers
docs/activation_events.md the events of Customer.io, between its two markers
docs/supported.md       the settings and arguments, between its two markers
docs/decisions/index.md the decisions, by number
managers/semantic.py    a method for each event of Customer.io

A test compares each file with what this module would write.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ecommerce_lakehouse.activation.customerio.registry import Category

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
DECISIONS = DOCS / "decisions"
SEMANTIC = ROOT / "src" / "ecommerce_lakehouse" / "activation" / "managers" / "semantic.py"
LAYERS = {
    "bronze": "Bronze",
    "silver": "Silver",
    "quarantine": "Quarantine",
    "gold": "Gold",
    "feature": "Features",
    "quality": "Quality",
}
KINDS = {"STREAMING_TABLE": "streaming table", "MATERIALIZED_VIEW": "materialized view"}


def generated(spark: SparkSession) -> dict[Path, str]:
    """The whole text of every file that has a generated part."""
    return {
        DOCS / "tables.md": tables_page(spark),
        DOCS / "configuration.md": _with_part(DOCS / "configuration.md", "environments", environments()),
        DOCS / "command_line.md": _with_part(DOCS / "command_line.md", "commands", commands()),
        DOCS / "sql.md": _with_part(DOCS / "sql.md", "functions", sql_functions()),
        DOCS / "activation_events.md": _with_part(DOCS / "activation_events.md", "events", events()),
        DOCS / "supported.md": _with_part(DOCS / "supported.md", "supported", supported()),
        DECISIONS / "index.md": _with_part(DECISIONS / "index.md", "decisions", decisions()),
        SEMANTIC: semantic_managers(),
    }


def tables_page(spark: SparkSession) -> str:
    """The page of all tables, by layer and in the order in which the pipelines declare them."""
    from lakerun.bundles.load import load_bundle
    from lakerun.pipelines.definitions import load_definitions

    rows: dict[str, list[tuple[str, ...]]] = {layer: [] for layer in LAYERS}
    for key, spec in load_bundle(ROOT).pipelines.items():
        for dataset in load_definitions(spec.source_files, spark, spec.root_path).datasets.values():
            if dataset.kind != "VIEW":
                name = dataset.name.split(".")[-1]
                row = (f"`{name}`", dataset.comment, KINDS[dataset.kind], f"`{key}`")
                rows[name.partition("_")[0]].append(row)
    sections = [
        f"## {title}\n\n{_table(('Table', 'What it holds', 'Kind', 'Pipeline'), rows[layer])}"
        for layer, title in LAYERS.items()
    ]
    return "\n".join([_TABLES_HEAD, *sections])


def environments() -> str:
    """The table of environments, from their settings."""
    from ecommerce_lakehouse.config import ENVIRONMENTS, get_config

    head = (
        "Environment",
        "Catalog",
        "Files per trigger",
        "Target file size",
        "Log retention",
        "First batch of orders",
    )
    rows = []
    for name in ENVIRONMENTS:
        config = get_config(name)
        cells = (
            config.catalog,
            str(config.max_files_per_trigger),
            f"{config.target_file_size_mb} MB",
            f"{config.log_retention_days} days",
            "none: delivered" if config.source_data == "delivered" else f"{config.rows_generated.orders:,}",
        )
        rows.append((name, *cells))
    return _table(head, rows)


def commands() -> str:
    """The table of commands, from the command line itself."""
    import typer

    from ecommerce_lakehouse.cli.main import command_line

    group: Any = typer.main.get_command(command_line())
    rows = []
    for name, command in sorted(group.commands.items()):
        for words, one in [(name, command), *_subcommands(name, command)]:
            summary = " ".join((one.help or "").split("\n\n")[0].split())
            rows.append((f"`lakehouse {words}`", summary))
    return _table(("Command", "What it does"), rows)


def events() -> str:
    """The table of events, from the registry of the client of Customer.io."""
    from ecommerce_lakehouse.activation.customerio.registry import EVENTS

    rows = []
    for event in EVENTS:
        part = f"context.{event.context[0]}." if event.context else ""
        names = [f"{field.name}{' (required)' * field.required}" for field in event.fields()]
        names += [f"{part}{field.name}{' (required)' * field.required}" for field in event.context_fields()]
        rows.append((event.name, event.meaning, ", ".join(names)))
    return _table(("Event", "Meaning", "Properties"), rows)


def semantic_managers() -> str:
    """The module of the managers whose methods are the registry's events."""
    from ecommerce_lakehouse.activation.customerio.registry import events_of

    parts = [_SEMANTIC_HEAD]
    for category, summary in _SEMANTIC:
        lines = [f"{event.slug} = sends(registry.{event.slug.upper()})" for event in events_of(category)]
        title = category.title().replace("_", "")
        parts.append(
            f'class {title}Manager(ClientManager):\n    """{summary}"""\n\n'
            f'    name: ClassVar[str] = "{category}"\n' + "".join(f"    {line}\n" for line in lines)
        )
    return "\n\n".join(parts)


def sql_functions() -> str:
    """The names of the functions that need no Spark."""
    import lakerun.sql.nodes  # noqa: F401  (adds their names)
    from lakerun.sql.expressions import AGGREGATE_NAMES
    from lakerun.sql.functions import CATALOGUE, WINDOWS, functions
    from lakerun.sql.registry import SCALARS

    kinds = {
        "Of one row": {*functions(CATALOGUE), *SCALARS},
        "Of a group, or with OVER": set(AGGREGATE_NAMES),
        "Only with OVER": set(functions(WINDOWS)) - set(AGGREGATE_NAMES),
    }
    rows = [(kind, ", ".join(f"`{name}`" for name in sorted(names))) for kind, names in kinds.items()]
    return _table(("Functions", "Names"), rows)


def supported() -> str:
    """What becomes of each setting and argument: a table for each kind of mapping and each function."""
    from lakerun.bundles.settings import SETTINGS
    from lakerun.pipelines.arguments import ARGUMENTS

    parts = []
    for title, kinds in (("Settings", SETTINGS), ("Arguments in `pyspark.pipelines`", ARGUMENTS)):
        parts.append(f"## {title}\n")
        for kind, names in kinds.items():
            rows = [
                (f"`{name}`", support.effect, support.reason)
                for name, support in sorted(names.items(), key=lambda one: (one[1].effect, one[0]))
            ]
            parts.append(f"### `{kind}`\n\n{_table(('Name', 'Effect', 'Reason'), rows)}")
    return "\n".join(parts)


def decisions() -> str:
    """The list of decisions, by number."""
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    titles = [page.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ") for page in pages]
    return "".join(f"- [{title}]({page.name})\n" for title, page in zip(titles, pages, strict=True))


def _subcommands(name: str, command: Any) -> list[tuple[str, Any]]:
    return [(f"{name} {verb}", one) for verb, one in sorted(getattr(command, "commands", {}).items())]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _with_part(file: Path, name: str, part: str) -> str:
    """The text of a file with the part between `<!-- name -->` and `<!-- end -->` replaced."""
    text = file.read_text(encoding="utf-8")
    pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->\n)"
    replaced, count = re.subn(pattern, lambda m: f"{m[1]}\n{part}\n{m[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(
            f"{file.relative_to(ROOT)} needs the markers of {name} once, but has them {count} times"
        )
    return replaced


_TABLES_HEAD = """\
# Tables

This page is generated from the pipelines: `uv run python -m tools.generate_docs`.

A table's name is `<catalog>.<schema>.<layer>_<entity>`. On a laptop the catalog is `local` and the schema is
`data_eng`. [Data flow](data_flow.md) shows how the tables depend on each other.

Features are point-in-time correct: a row's key holds `as_of`, and the row knows only records that were made
before it, each order as it was known then. A later record does not change it. Recency and churn
count from the newest event, not from the clock. The docstrings of the functions in
`src/ecommerce_lakehouse/transforms` give the range, formula and source of every measure.
"""


_SEMANTIC: tuple[tuple[Category, str], ...] = (
    ("ecommerce", "What a person does in the shop, from a search to a refund."),
    ("email", "What became of emails that another program sent."),
    ("live_chat", "Conversations in a live chat."),
    ("mobile", "The life of an app on a person's phone."),
    ("video", "A video's playback, its content and its ads."),
)
_SEMANTIC_HEAD = '''\
"""Managers of Customer.io's own events: a method each, typed by the event's properties.

This module is generated from the registry: `uv run python -m tools.generate_docs`.
"""

from __future__ import annotations

from typing import ClassVar

from ecommerce_lakehouse.activation.customerio import registry
from ecommerce_lakehouse.activation.managers.base import ClientManager, sends
'''


def main() -> None:
    """Write every file whose generated part has changed, and name it."""
    from lakerun.spark.session import get_session

    spark = get_session()
    try:
        for file, text in generated(spark).items():
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.write_text(text, encoding="utf-8")
                print(file.relative_to(ROOT))
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
