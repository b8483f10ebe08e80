-- Every dataset that its pipeline still defines: its age, and its longest latency in each period.
--
-- Age is the time since it was last up to date, in seconds; NULL if it never was.
-- A flow that ended as COMPLETED brought its dataset up to date; one that the laptop's engine SKIPPED at
-- level INFO found it up to date (after a failure upstream it is skipped with a warning). Latency is the time
-- from the start of an update until the dataset was complete, in seconds.
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  done.pipeline_name,
  done.dataset_name,
  min(CASE WHEN done.is_up_to_date THEN timestampdiff(SECOND, done.timestamp, period.now) END)
    AS age_seconds,
  min(CASE WHEN done.is_up_to_date AND done.timestamp <= period.middle
    THEN timestampdiff(SECOND, done.timestamp, period.middle) END) AS previous_age_seconds,
  max(CASE WHEN done.status = 'COMPLETED' AND done.timestamp > period.middle
    THEN timestampdiff(SECOND, started.start_time, done.timestamp) END) AS latency_seconds,
  max(CASE WHEN done.status = 'COMPLETED' AND done.timestamp > period.start AND done.timestamp <= period.middle
    THEN timestampdiff(SECOND, started.start_time, done.timestamp) END) AS previous_latency_seconds
FROM (
  SELECT
    pipeline_name,
    dataset_name,
    update_id,
    timestamp,
    get_json_object(details, '$.flow_progress.status') AS status,
    get_json_object(details, '$.flow_progress.status') = 'COMPLETED'
      OR (get_json_object(details, '$.flow_progress.status') = 'SKIPPED' AND level = 'INFO') AS is_up_to_date
  FROM events
  WHERE event_type = 'flow_progress' AND dataset_name IS NOT NULL
) AS done
INNER JOIN (
  SELECT update_id, min(timestamp) AS start_time FROM events GROUP BY update_id
) AS started ON started.update_id = done.update_id
INNER JOIN (
  SELECT DISTINCT definitions.dataset_name
  FROM events AS definitions
  INNER JOIN (
    SELECT pipeline_name, max_by(update_id, timestamp) AS update_id
    FROM events
    WHERE event_type = 'dataset_definition'
    GROUP BY pipeline_name
  ) AS newest ON newest.update_id = definitions.update_id
  WHERE definitions.event_type = 'dataset_definition'
) AS defined ON defined.dataset_name = done.dataset_name
CROSS JOIN period
WHERE done.timestamp <= period.now
GROUP BY done.pipeline_name, done.dataset_name
