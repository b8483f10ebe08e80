-- Of each dataset's records in each period, those that its expectations judged, and the failures.
--
-- A record that fails two expectations is two failures: which records failed is not in the event log.
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  rules.period,
  rules.dataset_name,
  sum(rules.failed_records) AS failed_records,
  max(rules.judged_records) AS judged_records
FROM (
  SELECT
    counted.period,
    counted.expectation.dataset AS dataset_name,
    counted.expectation.name AS expectation_name,
    sum(counted.expectation.failed_records) AS failed_records,
    sum(counted.expectation.passed_records + counted.expectation.failed_records) AS judged_records
  FROM (
    SELECT
      CASE WHEN events.timestamp > period.middle THEN 'current' ELSE 'previous' END AS period,
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
  GROUP BY counted.period, counted.expectation.dataset, counted.expectation.name
) AS rules
GROUP BY rules.period, rules.dataset_name
