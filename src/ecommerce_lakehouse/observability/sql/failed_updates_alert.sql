-- Updates that failed within the last two days, the newest first: a row each, for the alert of that name.
--
-- The alert names the catalog and schema of `pipeline_events`.
SELECT
  pipeline_name,
  update_id,
  timestamp AS failed_at,
  message
FROM pipeline_events
WHERE event_type = 'update_progress'
  AND get_json_object(details, '$.update_progress.state') = 'FAILED'
  AND timestamp > current_timestamp() - INTERVAL 2 DAYS
