"""What a batch of synthetic data holds and must lead to: `Manifest`, one JSON file per batch."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.errors import USAGE, ShopError, first_line

ORDER_UPDATES = "order_updates"


class GenerationError(ShopError):
    """The batch cannot be generated; the message is one line that says what to do."""

    code = "NOT_GENERATED"
    exit_code = USAGE


def refuse_delivered(config: LakehouseConfig) -> None:
    """Raise GenerationError where data is delivered: generated data would be taken for it."""
    if config.source_data == "delivered":
        raise GenerationError(
            f"Data is delivered in the environment '{config.environment}' (source_data); "
            "nothing was generated."
        )


def skipped(config: LakehouseConfig) -> bool:
    """Whether a job has nothing to generate, because data is delivered; says so if it is."""
    try:
        refuse_delivered(config)
    except GenerationError as delivered:
        print(delivered, flush=True)
        return True
    return False


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Parameters(_Frozen):
    """With the batch number and the limits of `LakehouseConfig`, these determine every byte.

    `orders`, `customer_activity` and `customers` are lines of the first batch, which covers `days` days;
    `issue_rate` is the share of lines, 0 to 1, with an intentional issue.
    """

    seed: int = Field(ge=0, lt=2**63)
    orders: int = Field(ge=1, le=100_000_000)
    customer_activity: int = Field(ge=1, le=100_000_000)
    customers: int = Field(ge=1, le=10_000_000)
    days: int = Field(ge=1, le=3650)
    issue_rate: float = Field(ge=0, le=1)


class Expected(_Frozen):
    """What a dataset's lines must lead to: each counts in one of the first four.

    `silver`: valid records with a key that no earlier batch delivered. `updates`: valid further records,
    newer or late, of a key that silver already holds. `quarantined`: lines that break at least one dropping
    rule; `broken_rules` counts them by rule, a line once for each rule that it breaks. `duplicates`: valid
    lines that repeat another line of the batch. `warnings`: lines, quarantined ones included, that break a
    warning rule.
    """

    silver: int
    updates: int
    quarantined: int
    duplicates: int
    broken_rules: dict[str, int]
    warnings: dict[str, int]


class DatasetManifest(_Frozen):
    """One dataset of a batch: lines written, names of its files in order, lines by kind of issue."""

    rows: int
    files: tuple[str, ...]
    issues: dict[str, int]
    expected: Expected


class Manifest(_Frozen):
    """One batch of raw data. Event times lie in [`starts_at`, `ends_at`), except for intentional issues.

    `datasets` is by entity; `order_updates` are further lines of orders, which were placed on earlier days.
    In the first batch some profiles are older than `starts_at`: their customers signed up before it.
    """

    batch: int
    parameters: Parameters
    starts_at: datetime
    ends_at: datetime
    datasets: dict[str, DatasetManifest]


def manifest_name(batch: int) -> str:
    """File name of a complete batch's manifest."""
    return f"batch_{batch:06d}.json"


def read_manifest(path: Path) -> Manifest:
    """The manifest in a file; GenerationError if it cannot be read."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise GenerationError(
            f"The manifest {path} cannot be read: {first_line(error)}. Remove the generated data."
        ) from None


def read_manifests(folder: str | Path) -> list[Manifest]:
    """All complete batches of a volume's manifest folder (`config.manifests_path`), oldest first."""
    return [read_manifest(path) for path in sorted(Path(folder).glob("batch_*.json"))]
