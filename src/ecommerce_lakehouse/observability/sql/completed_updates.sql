-- Updates that completed after the start of the previous period, with the datasets that they brought up to date.
--
-- A record that arrived before an update started is in those datasets when it ends.
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  updates.pipeline_name,
  updates.start_time,
  updates.end_time
FROM (
  SELECT
    events.pipeline_name,
    events.update_id,
    min(events.timestamp) AS start_time,
    max(CASE WHEN get_json_object(events.details, '$.update_progress.state') = 'COMPLETED'
      THEN events.timestamp END) AS end_time,
    max(get_json_object(events.details, '$.create_update.validate_only')) AS validate_only
  FROM events
  WHERE events.event_type IN ('create_update', 'update_progress')
  GROUP BY events.pipeline_name, events.update_id
) AS updates
CROSS JOIN period
WHERE coalesce(updates.validate_only, 'false') <> 'true'
  AND updates.end_time > period.start
  AND updates.end_time <= period.now
ORDER BY updates.start_time
