-- Percent of judged records that failed within the last two days, of each dataset, for the alert of that name.
--
-- The alert names the catalog and schema of `pipeline_events`.
SELECT
  counted.expectation.dataset AS dataset_name,
  sum(counted.expectation.failed_records) AS failed_records,
  round(
    100 * sum(counted.expectation.failed_records)
    / sum(counted.expectation.passed_records + counted.expectation.failed_records),
    3
  ) AS failure_percent
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
GROUP BY counted.expectation.dataset
HAVING sum(counted.expectation.passed_records + counted.expectation.failed_records) > 0
