"""From JSON lines to the mean temperature of each station and day."""

from pyspark import pipelines as dp
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as sf

spark = SparkSession.active()


@dp.table(comment="What the stations measured")
@dp.expect_or_drop("possible", "celsius BETWEEN -90 AND 60")
def readings() -> DataFrame:
    lines = spark.readStream.schema("station STRING, day DATE, celsius DOUBLE")
    return lines.json(spark.conf.get("incoming"))


@dp.materialized_view(comment="Mean temperature of each station and day")
def daily_means() -> DataFrame:
    by_day = spark.read.table("readings").groupBy("station", "day")
    return by_day.agg(sf.round(sf.avg("celsius"), 1).alias("mean_celsius"))
