-- Rows that all datasets wrote on each day, in total; of a flow of changes, those that it inserted or updated.
--
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  CAST(events.timestamp AS DATE) AS day,
  sum(CAST(coalesce(
    get_json_object(events.details, '$.flow_progress.metrics.num_output_rows'),
    get_json_object(events.details, '$.flow_progress.metrics.num_upserted_rows')
  ) AS BIGINT)) AS rows_written
FROM events
CROSS JOIN period
WHERE events.event_type = 'flow_progress'
  AND coalesce(
    get_json_object(events.details, '$.flow_progress.metrics.num_output_rows'),
    get_json_object(events.details, '$.flow_progress.metrics.num_upserted_rows')
  ) IS NOT NULL
  AND events.timestamp >= period.start
  AND events.timestamp <= period.now
GROUP BY CAST(events.timestamp AS DATE)
