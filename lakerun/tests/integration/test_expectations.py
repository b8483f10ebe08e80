"""Expectations: counts, dropped rows and failed updates."""

from __future__ import annotations

from integration.lab import Lab, dataset, failed
from lakerun.pipelines.results import SkipReason

GOOD = {"id": 1, "price": 10.0, "status": "paid"}


def source(folder: str, limit: int = 1000, least: int = 0) -> str:
    return f"""
    @dp.table(name="orders")
    @dp.expect("known_status", "status IN ('paid', 'open')")
    @dp.expect_all_or_drop({{"has_id": "id IS NOT NULL", "positive_price": "price > 0"}})
    @dp.expect_or_fail("price_below_limit", "coalesce(price, 0) < {limit}")
    def orders():
        stream = spark.readStream.schema("id INT, price DOUBLE, status STRING")
        return stream.option("maxFilesPerTrigger", "1").format("json").load("{folder}")

    @dp.materialized_view(name="revenue")
    @dp.expect_or_fail("some_revenue", "total > {least}")
    def revenue():
        return spark.read.table("orders").agg(F.sum("price").alias("total"))

    @dp.materialized_view(name="report")
    def report():
        return spark.read.table("revenue")
    """


def test_counts_are_exact_over_several_batches_and_null_breaks_a_rule(lab: Lab) -> None:
    folder = lab.arrive("orders", [GOOD, GOOD | {"price": -1.0}, GOOD | {"price": None, "status": None}])
    lab.arrive("orders", [GOOD | {"id": None, "status": "lost"}, GOOD | {"id": 2}])
    result = lab.run(source(folder))
    assert result.state == "COMPLETED"
    orders = dataset(result, "orders")
    assert (orders.rows_written, orders.rows_dropped) == (2, 3)
    assert failed(result, "orders") == {
        "known_status": 2,
        "has_id": 1,
        "positive_price": 2,
        "price_below_limit": 0,
    }
    assert lab.rows("orders", "id, price") == [(1, 10.0), (2, 10.0)]
    assert lab.expectation_counts() == {
        ("orders", "known_status"): (3, 2),
        ("orders", "has_id"): (4, 1),
        ("orders", "positive_price"): (3, 2),
        ("orders", "price_below_limit"): (5, 0),
        ("revenue", "some_revenue"): (1, 0),
    }
    # The two files are as old as each other, so either may be the first batch.
    assert sorted(event.message for event in lab.events if event.level == "WARN") == [
        "Flow 'orders' is RUNNING. Expectations failed: known_status for 1 of 2 records, "
        "has_id for 1 of 2 records.",
        "Flow 'orders' is RUNNING. Expectations failed: known_status for 1 of 3 records, "
        "positive_price for 2 of 3 records.",
    ]


def test_after_a_failed_expectation_the_next_run_gets_the_rows_again(lab: Lab) -> None:
    folder = lab.arrive("orders", [GOOD])
    assert lab.run(source(folder)).state == "COMPLETED"
    lab.arrive(
        "orders", [GOOD | {"id": 2}, GOOD | {"id": 3, "price": 5000.0}, GOOD | {"id": 4, "price": 2000.0}]
    )
    before = lab.rows("orders")

    refused = lab.run(source(folder))

    assert refused.state == "FAILED"
    orders = dataset(refused, "orders")
    assert orders.status == "FAILED"
    assert failed(refused, "orders")["price_below_limit"] == 2
    for part in ("main.shop.orders", "price_below_limit", "2 of 3 rows", '"price":'):
        assert part in orders.note
    for after, note in (("revenue", "upstream orders failed"), ("report", "upstream revenue failed")):
        skipped = dataset(refused, after)
        assert (skipped.status, skipped.skip_reason) == ("SKIPPED", SkipReason.UPSTREAM_FAILED)
        assert skipped.note == note
    assert lab.rows("orders") == before

    allowed = lab.run(source(folder, limit=10_000))

    assert allowed.state == "COMPLETED"
    assert lab.rows("orders", "id") == [(1,), (2,), (3,), (4,)]
    assert lab.rows("revenue", "total") == [(7020.0,)]


def test_a_failed_view_keeps_its_previous_rows(lab: Lab) -> None:
    folder = lab.arrive("orders", [GOOD])
    lab.run(source(folder))
    refused = lab.run(source(folder, least=100))
    revenue = dataset(refused, "revenue")
    assert (refused.state, revenue.status) == ("FAILED", "FAILED")
    assert "'some_revenue' (1 of 1 rows)" in revenue.note
    assert '{"total":10.0}' in revenue.note
    assert lab.rows("revenue") == [(10.0,)]


def test_an_expectation_may_have_any_name(lab: Lab) -> None:
    folder = lab.arrive("orders", [GOOD, GOOD | {"price": -1.0}])
    result = lab.run(
        f"""
        @dp.table(name="orders")
        @dp.expect_or_fail("price > 0 | 'free' \\"gift\\"", "price > 0")
        def orders():
            return spark.readStream.schema("id INT, price DOUBLE").format("json").load("{folder}")
        """
    )
    orders = dataset(result, "orders")
    assert orders.note == (
        "Dataset 'main.shop.orders' failed expectation 'price > 0 | 'free' \"gift\"' (1 of 2 rows). "
        'Sample row: {"id":1,"price":-1.0}'
    )
    assert failed(result, "orders") == {"price > 0 | 'free' \"gift\"": 1}


def test_failed_records_are_a_warning_in_the_log(lab: Lab) -> None:
    folder = lab.arrive("orders", [GOOD | {"status": "lost"}])
    lab.run(source(folder))
    warned = [event for event in lab.events if event.level == "WARN"]
    assert [event.origin["flow_name"] for event in warned] == ["orders"]
    assert lab.rows("event_log_lab", "level").count(("WARN",)) == 1
