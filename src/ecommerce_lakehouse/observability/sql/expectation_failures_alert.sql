-- Failures per hundred of a dataset's records within the last two days, for the alert of that name.
--
-- The same figure as the health check's: a record that fails two expectations is two failures.
-- The alert names the catalog and schema of `pipeline_events`.
SELECT
  rules.dataset_name,
  sum(rules.failed_records) AS failed_records,
  least(100.0, round(100 * sum(rules.failed_records) / max(rules.judged_records), 3)) AS failure_percent
FROM (
  SELECT
    counted.expectation.dataset AS dataset_name,
    counted.expectation.name AS expectation_name,
    sum(counted.expectation.failed_records) AS failed_records,
    sum(counted.expectation.passed_records + counted.expectation.failed_records) AS judged_records
  FROM (
    SELECT
      explode(
        from_json(
          get_json_object(details, '$.flow_progress.data_quality.expectations'),
          'array<struct<name string, dataset string, passed_records bigint, failed_records bigint>>'
        )
      ) AS expectation
    FROM pipeline_events
    WHERE event_type = 'flow_progress' AND timestamp > current_timestamp() - INTERVAL 2 DAYS
  ) AS counted
  GROUP BY counted.expectation.dataset, counted.expectation.name
) AS rules
GROUP BY rules.dataset_name
HAVING max(rules.judged_records) > 0
