-- Records that expectations judged on each day, and those of them that failed.
--
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  counted.day,
  sum(counted.expectation.failed_records) AS failed_records,
  sum(counted.expectation.passed_records + counted.expectation.failed_records) AS judged_records
FROM (
  SELECT
    CAST(events.timestamp AS DATE) AS day,
    explode(
      from_json(
        get_json_object(events.details, '$.flow_progress.data_quality.expectations'),
        'array<struct<name string, dataset string, passed_records bigint, failed_records bigint>>'
      )
    ) AS expectation
  FROM events
  CROSS JOIN period
  WHERE events.event_type = 'flow_progress'
    AND events.timestamp >= period.start
    AND events.timestamp <= period.now
) AS counted
GROUP BY counted.day
