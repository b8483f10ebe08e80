-- Updates that failed within the last two days, the newest first: a row each, for the alert of that name.
--
-- `events` comes from ecommerce_lakehouse.observability.health_sql.
SELECT
  pipeline_name,
  update_id,
  timestamp AS failed_at,
  message
FROM events
WHERE event_type = 'update_progress'
  AND get_json_object(details, '$.update_progress.state') = 'FAILED'
  AND timestamp > current_timestamp() - INTERVAL 2 DAYS
