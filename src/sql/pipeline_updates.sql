-- Updates of all pipelines, the newest first: state, start, end, minutes.
--
-- Reads their event logs, unchanged on Databricks and with `lakehouse sql -f src/sql/pipeline_updates.sql`.
-- An update starts with its create_update event; each update_progress event has a state, and the last one is
-- COMPLETED, FAILED or CANCELED. An update without such a state is still running, or was killed.
WITH states AS (
  SELECT
    pipeline_name,
    update_id,
    timestamp,
    event_type,
    get_json_object(details, '$.update_progress.state') AS state
  FROM pipeline_events
  WHERE event_type IN ('create_update', 'update_progress')
),

updates AS (
  SELECT
    pipeline_name,
    update_id,
    min(CASE WHEN event_type = 'create_update' THEN timestamp END) AS start_time,
    max(CASE WHEN state IN ('COMPLETED', 'FAILED', 'CANCELED') THEN timestamp END) AS end_time,
    max_by(state, timestamp) FILTER (WHERE state IS NOT NULL) AS state
  FROM states
  GROUP BY pipeline_name, update_id
)

SELECT
  pipeline_name,
  update_id,
  state,
  start_time,
  end_time,
  timestampdiff(MINUTE, start_time, end_time) AS duration_minutes,
  timestampdiff(SECOND, start_time, end_time) AS duration_seconds
FROM updates
ORDER BY start_time DESC
