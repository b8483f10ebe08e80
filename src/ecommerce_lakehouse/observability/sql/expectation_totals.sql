-- Records that each expectation judged in the period, over all updates, and those that failed.
--
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  counted.pipeline_name,
  regexp_extract(counted.expectation.dataset, '([^.`]+)`?$', 1) AS dataset_name,
  counted.expectation.name AS expectation_name,
  sum(counted.expectation.passed_records) AS passed_records,
  sum(counted.expectation.failed_records) AS failed_records
FROM (
  SELECT
    events.pipeline_name,
    explode(
      from_json(
        get_json_object(events.details, '$.flow_progress.data_quality.expectations'),
        'array<struct<name string, dataset string, passed_records bigint, failed_records bigint>>'
      )
    ) AS expectation
  FROM events
  CROSS JOIN period
  WHERE events.event_type = 'flow_progress'
    AND events.timestamp > period.start
    AND events.timestamp <= period.now
) AS counted
GROUP BY counted.pipeline_name, counted.expectation.dataset, counted.expectation.name
ORDER BY failed_records DESC, dataset_name, expectation_name
