-- Updates that ended on each day, how they ended, and for how many seconds those that completed or failed ran.
--
-- Validations and updates that still run do not count.
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  CAST(updates.end_time AS DATE) AS day,
  count_if(updates.state = 'COMPLETED') AS completed,
  count_if(updates.state = 'FAILED') AS failed,
  count_if(updates.state = 'CANCELED') AS canceled,
  sum(CASE WHEN updates.state IN ('COMPLETED', 'FAILED')
    THEN timestampdiff(SECOND, updates.start_time, updates.end_time) ELSE 0 END) AS run_seconds
FROM (
  SELECT
    update_id,
    min(timestamp) AS start_time,
    max(CASE WHEN get_json_object(details, '$.update_progress.state') IN ('COMPLETED', 'FAILED', 'CANCELED')
      THEN timestamp END) AS end_time,
    max_by(get_json_object(details, '$.update_progress.state'), timestamp)
      FILTER (WHERE event_type = 'update_progress') AS state,
    max(get_json_object(details, '$.create_update.validate_only')) AS validate_only
  FROM events
  WHERE event_type IN ('create_update', 'update_progress')
  GROUP BY update_id
) AS updates
CROSS JOIN period
WHERE coalesce(updates.validate_only, 'false') <> 'true'
  AND updates.end_time >= period.start
  AND updates.end_time <= period.now
GROUP BY CAST(updates.end_time AS DATE)
