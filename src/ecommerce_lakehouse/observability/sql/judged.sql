-- What each expectation counted, a row per event: the relation `judged` of the queries that name it.
--
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  counted.period,
  counted.pipeline_name,
  counted.expectation.dataset AS dataset_name,
  counted.expectation.name AS expectation_name,
  counted.expectation.passed_records,
  counted.expectation.failed_records
FROM (
  SELECT
    CASE WHEN events.timestamp > period.middle THEN 'current' ELSE 'previous' END AS period,
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
