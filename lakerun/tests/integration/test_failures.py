"""The error of a failed flow: the innermost cause, in one line."""

from __future__ import annotations

import threading

from integration.lab import Lab
from lakerun.pipelines.results import Event
from lakerun.pipelines.update import run_update

SOURCE = """
@F.udf("int")
def broken(id):
    raise ValueError("the function says [NO]")

@dp.table(name="raw")
def raw():
    return spark.readStream.schema("id INT, price STRING").format("json").load("{folder}")

@dp.table(name="typed")
def typed():
    return spark.readStream.table("raw").select(F.col("price").cast("int").alias("price"))

@dp.table(name="computed")
def computed():
    return spark.readStream.table("raw").select(broken("id").alias("id"))

@dp.table(name="strict")
def strict():
    stream = spark.readStream.schema("id INT").format("csv").option("mode", "FAILFAST")
    return stream.load("{broken_files}")

@dp.materialized_view(name="ratio")
def ratio():
    return spark.read.table("raw").select((F.col("id") / F.lit(0)).alias("ratio"))

@dp.materialized_view(name="refused")
def refused():
    problem = F.raise_error(F.lit("[BAD] is\\nno reason")).cast("string")
    return spark.read.table("raw").select(problem.alias("id"))
"""


def test_a_failed_flow_names_its_innermost_cause(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"id": 1, "price": "abc"}])
    broken_files = lab.home / "csv"
    broken_files.mkdir()
    (broken_files / "a.csv").write_text("x,y\n")
    result = lab.run(SOURCE.format(folder=folder, broken_files=broken_files))
    notes = {item.name.rpartition(".")[2]: item.note for item in result.datasets}
    assert notes.pop("raw") == ""
    cast = 'The value \'abc\' of the type "STRING" cannot be cast to "INT" because it is malformed.'
    assert notes.pop("typed").startswith(f"Flow 'typed' failed: {cast} Correct the value")
    assert notes.pop("ratio").startswith("Flow 'ratio' failed: Division by zero. Use `try_divide`")
    assert notes == {
        "computed": "Flow 'computed' failed: ValueError: the function says [NO]",
        "strict": "Flow 'strict' failed: Malformed CSV record: x,y",
        "refused": "Flow 'refused' failed: [BAD] is",
    }
    assert not any("SQLSTATE" in note for note in notes.values())


def test_a_dataset_that_failed_before_the_run_was_stopped_is_failed(lab: Lab) -> None:
    folder = lab.arrive("raw", [{"price": "abc"}])
    source = f"""
        dp.create_streaming_table("prices")

        def prices():
            stream = spark.readStream.schema("price STRING").format("json").load("{folder}")
            return stream.select(F.col("price").cast("int").alias("price"))

        dp.append_flow(target="prices", name="first")(prices)
        dp.append_flow(target="prices", name="second")(prices)
        """
    stop = threading.Event()
    statuses = []

    def on_event(event: Event) -> None:
        if progress := event.details.get("flow_progress"):
            statuses.append((event.origin["flow_name"], progress["status"]))
            if progress["status"] == "FAILED":
                stop.set()

    result = run_update(lab.spec(source), storage=lab.storage, on_event=on_event, stop=stop)
    assert statuses[-2:] == [("first", "FAILED"), ("second", "STOPPED")]
    (prices,) = result.datasets
    assert prices.status == "FAILED"
    assert prices.note.startswith("Flow 'first' failed: The value 'abc'")
    assert result.state == "FAILED"
