"""The synthetic data job's command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from ecommerce_lakehouse.generation import read_manifests
from ecommerce_lakehouse.generation.job import main


def test_the_job_fills_the_volume_that_its_arguments_name(
    spark: SparkSession, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sizes = ["--orders", "100", "--customer-activity", "100", "--customers", "20", "--seed", "9"]
    place = ["--environment", "dev", "--catalog", "mine", "--schema", "jo_data_eng", "--volume", ""]
    main([*sizes, *place, "--issue-rate", "0.1", "--batches", ""])
    main(place)
    volume = home / "volumes" / "mine" / "jo_data_eng" / "data"
    manifests = read_manifests(volume / "manifests")
    assert [manifest.batch for manifest in manifests] == [0, 1]
    assert {manifest.parameters.seed for manifest in manifests} == {9}
    assert len((volume / "orders_raw" / "orders_b000000_p00000.json").read_bytes().splitlines()) == 100
    printed = capsys.readouterr().out.splitlines()
    assert printed[:5] == [
        "batch 0: orders, 100 lines",
        "batch 0: customer_profiles, 20 lines",
        "batch 0: customer_activity, 100 lines",
        "batch 0: order_updates, 8 lines",
        f"228 lines, 22 with an intentional issue, added to {volume}",
    ]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--environment", "nowhere"], "Unknown environment 'nowhere'. Valid environments: local, dev,"),
        (["--environment", "local", "--orders", "0"], "orders: Input should be greater than or equal to 1"),
        (["--environment", "local", "--batches", "0"], "batches must be at least 1, not 0."),
        (["--environment", "local", "--batches", "99999"], "Batch "),
        (["--environment", "local", "--schema", "no/good"], "schema: String should match pattern"),
    ],
)
def test_a_wrong_value_is_one_line_and_exit_code_2(
    spark: SparkSession, home: Path, capsys: pytest.CaptureFixture[str], argv: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    assert stopped.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"generate_sample_data: {message}")


def test_a_word_for_a_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--orders", "many"])
    assert stopped.value.code == 2
    assert "argument --orders: 'many' is not a whole number" in capsys.readouterr().err


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    assert "generate_sample_data --batches 3" in capsys.readouterr().out
