"""A batch is in the volume whole or not at all, wherever a call is killed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from ecommerce_lakehouse.config import LakehouseConfig, get_config
from ecommerce_lakehouse.domain.entities import SAMPLED
from ecommerce_lakehouse.generation import (
    DatasetManifest,
    Expected,
    GenerationError,
    Manifest,
    generate_sample_data,
    read_manifests,
)
from ecommerce_lakehouse.generation.issues import IssueSpread
from ecommerce_lakehouse.generation.manifest import Parameters
from ecommerce_lakehouse.generation.plan import BatchPlan
from ecommerce_lakehouse.generation.volume import BatchFolder

PARAMETERS = Parameters(seed=1, orders=10, customer_activity=10, customers=5, days=9, issue_rate=0)
SIZES = {"orders": 90, "customer_activity": 90, "customers": 20}


class Killed(BaseException):
    """Simulates a signal that cannot be caught."""


def local_config(root: Path) -> LakehouseConfig:
    return get_config("local").model_copy(update={"volumes_root": str(root)})


def contents(config: LakehouseConfig) -> dict[str, bytes]:
    root = Path(config.volume_path)
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "_generator.lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def staged_batch(folder: BatchFolder) -> Manifest:
    """A batch with two files per dataset, as Spark would have left it in the staging folder."""
    datasets = {}
    for entity in SAMPLED:
        staged = folder.staged(0, entity)
        staged.mkdir(parents=True)
        for part in range(2):
            (staged / f"part-0000{part}-x-c000.txt").write_text(f"{entity} {part}\n")
        (staged / "_SUCCESS").touch()
        nothing = Expected(silver=2, updates=0, quarantined=0, duplicates=0, broken_rules={}, warnings={})
        files = folder.name_files(0, entity)
        datasets[entity] = DatasetManifest(rows=2, files=files, issues={}, expected=nothing)
    plan = BatchPlan(PARAMETERS, 0)
    return Manifest(
        batch=0,
        parameters=PARAMETERS,
        starts_at=plan.starts_at,
        ends_at=plan.ends_at,
        datasets=datasets,
    )


# Renames of one batch: the pending manifest, six files, the final manifest.
@pytest.mark.parametrize("renames", range(9))
def test_a_batch_killed_between_any_two_renames_is_finished_or_gone_after_the_next_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    folder = BatchFolder(local_config(tmp_path))
    manifest = staged_batch(folder)
    left = renames
    replace = Path.replace

    def replace_until_killed(path: Path, target: Path) -> Path:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        return replace(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", replace_until_killed)
        if renames < 8:
            with pytest.raises(Killed):
                folder.publish(manifest)
        else:
            folder.publish(manifest)
    folder.recover()

    found = contents(folder.config)
    if renames == 0:
        assert found == {}
    else:
        data = {
            f"{entity}_raw/{entity}_b000000_p0000{part}.json": f"{entity} {part}\n".encode()
            for entity in SAMPLED
            for part in range(2)
        }
        written = manifest.model_dump_json(indent=2) + "\n"
        assert found == data | {"manifests/batch_000000.json": written.encode()}
        assert read_manifests(folder.manifests) == [manifest]


def test_a_half_moved_batch_whose_files_were_deleted_is_removed(tmp_path: Path) -> None:
    folder = BatchFolder(local_config(tmp_path))
    folder.publish(staged_batch(folder))
    (folder.manifests / "batch_000000.json").rename(folder.manifests / "_pending_batch_000000.json")
    (Path(folder.config.orders_source_path) / "orders_b000000_p00001.json").unlink()
    folder.recover()
    assert contents(folder.config) == {}


def test_a_call_killed_while_spark_writes_leaves_nothing_that_is_written_twice(
    spark: SparkSession, tmp_path: Path
) -> None:
    config = local_config(tmp_path)
    half = BatchFolder(config).staged(0, "orders")
    (half / "_temporary").mkdir(parents=True)
    for name in ("part-00000-dead-c000.txt", "orders_b000000_p00000.json", "_temporary/part-00001"):
        (half / name).write_text('{"order_id":"half')
    (manifest,) = generate_sample_data(spark, config, **SIZES)
    found = contents(config)
    files = [f"{entity}_raw/{entity}_b000000_p00000.json" for entity in SAMPLED]
    files.append("orders_raw/order_updates_b000000_p00000.json")
    assert set(found) == {*files, "manifests/batch_000000.json"}
    names = (*SAMPLED, "order_updates")
    lines = {entity: found[file].count(b"\n") for entity, file in zip(names, files, strict=True)}
    assert lines == {entity: dataset.rows for entity, dataset in manifest.datasets.items()}
    assert lines == {"orders": 90, "customer_profiles": 20, "customer_activity": 90, "order_updates": 8}


def test_a_second_generator_on_one_volume_says_so_and_stops(spark: SparkSession, tmp_path: Path) -> None:
    config = local_config(tmp_path)
    with (
        BatchFolder(config).exclusive(),
        pytest.raises(GenerationError, match=r"^Another run is generating data in .*; wait for it to end\.$"),
    ):
        generate_sample_data(spark, config)


def test_an_unreadable_manifest_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "batch_000000.json").write_text("{")
    with pytest.raises(GenerationError, match=r"^The manifest \S+batch_000000.json cannot be read: .+$"):
        read_manifests(tmp_path)


@given(st.integers(1, 300), st.data())
def test_counting_clean_lines_and_finding_them_are_inverse(lines: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, lines))
    spread = IssueSpread(lines, bad)
    is_bad = [(line + 1) * bad // lines > line * bad // lines for line in range(lines)]
    clean = [line for line in range(lines) if not is_bad[line]]
    assert sum(is_bad) == bad
    assert [spread.clean_before(line) for line in clean] == list(range(len(clean)))
    if clean:
        assert not is_bad[0]
        assert [ordinal * lines // len(clean) for ordinal in range(len(clean))] == clean


@given(st.integers(1, 2000), st.integers(1, 400), st.integers(1, 60), st.floats(0, 1))
def test_numbers_of_batches_never_overlap(orders: int, customers: int, days: int, rate: float) -> None:
    parameters = Parameters(
        seed=1, orders=orders, customer_activity=1, customers=customers, days=days, issue_rate=rate
    )
    plans = [BatchPlan(parameters, batch) for batch in range(4)]
    for earlier, later in pairwise(plans):
        assert earlier.orders.first_number + earlier.orders.lines == later.orders.first_number
        assert earlier.end_day == later.first_day
        joined = customers if earlier.batch == 0 else earlier.new_customers_daily
        assert earlier.customer_profiles.first_number + joined == later.customer_profiles.first_number
        assert later.customer_profiles.spread.bad == round(later.customer_profiles.lines * rate)
    assert plans[1].updates_daily <= plans[0].customer_profiles.spread.clean
