-- Each pipeline's newest update, validations aside, and how it ended; NULL while it runs.
--
-- `events` comes from ecommerce_lakehouse.observability.health_sql.
SELECT
  pipeline_name,
  max_by(update_id, start_time) AS update_id,
  max_by(state, start_time) AS state
FROM (
  SELECT
    pipeline_name,
    update_id,
    min(timestamp) AS start_time,
    max(CASE WHEN get_json_object(details, '$.update_progress.state') IN ('COMPLETED', 'FAILED', 'CANCELED')
      THEN get_json_object(details, '$.update_progress.state') END) AS state
  FROM events
  WHERE event_type IN ('create_update', 'update_progress')
  GROUP BY pipeline_name, update_id
  HAVING coalesce(max(get_json_object(details, '$.create_update.validate_only')), 'false') <> 'true'
) AS updates
GROUP BY pipeline_name
ORDER BY pipeline_name
