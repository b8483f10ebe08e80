-- Updates that ended in each period: how many completed and failed, and for how many seconds they ran.
--
-- An update that was cancelled, only validated, or is still running is neither a success nor a failure.
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  ended.period,
  count_if(ended.state = 'COMPLETED') AS completed,
  count_if(ended.state = 'FAILED') AS failed,
  sum(timestampdiff(SECOND, ended.start_time, ended.end_time)) AS run_seconds
FROM (
  SELECT
    CASE WHEN updates.end_time > period.middle THEN 'current' ELSE 'previous' END AS period,
    updates.state,
    updates.start_time,
    updates.end_time
  FROM (
    SELECT
      update_id,
      min(timestamp) AS start_time,
      max(CASE WHEN get_json_object(details, '$.update_progress.state') IN ('COMPLETED', 'FAILED')
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
    AND updates.end_time > period.start
    AND updates.end_time <= period.now
) AS ended
GROUP BY ended.period
