-- Expectations that failed, per update, dataset and expectation: the newest first, the worst rate first.
--
-- Reads the event logs of all pipelines, unchanged on Databricks and with
-- `lakehouse sql -f src/sql/expectation_failures.sql`.
-- Each flow_progress event counts the rows of one micro-batch or refresh, so the counts of an update are
-- sums. failure_rate_pct is failed / (passed + failed) x 100.
WITH counted AS (
  SELECT
    timestamp,
    update_id,
    explode(
      from_json(
        get_json_object(details, '$.flow_progress.data_quality.expectations'),
        'array<struct<name string, dataset string, passed_records bigint, failed_records bigint>>'
      )
    ) AS expectation
  FROM pipeline_events
  WHERE event_type = 'flow_progress'
),

totals AS (
  SELECT
    update_id,
    expectation.dataset AS table_name,
    expectation.name AS expectation_name,
    max(timestamp) AS last_seen,
    sum(expectation.failed_records) AS failed_records,
    sum(expectation.passed_records + expectation.failed_records) AS total_records
  FROM counted
  GROUP BY update_id, expectation.dataset, expectation.name
)

SELECT
  last_seen,
  update_id,
  table_name,
  expectation_name,
  failed_records,
  total_records,
  round(failed_records / total_records * 100, 2) AS failure_rate_pct
FROM totals
WHERE failed_records > 0
ORDER BY last_seen DESC, failure_rate_pct DESC
