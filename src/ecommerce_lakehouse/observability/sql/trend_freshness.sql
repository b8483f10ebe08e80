-- When each dataset that its pipeline still defines was last up to date on each day, days before the period
-- included; one row with NULL for a dataset that never was.
--
-- datasets.sql says what brings a dataset up to date.
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  defined.pipeline_name,
  defined.dataset_name,
  CAST(done.timestamp AS DATE) AS day,
  max(done.timestamp) AS last_up_to_date
FROM (
  SELECT DISTINCT definitions.pipeline_name, definitions.dataset_name
  FROM events AS definitions
  INNER JOIN (
    SELECT pipeline_name, max_by(update_id, timestamp) AS update_id
    FROM events
    WHERE event_type = 'dataset_definition'
    GROUP BY pipeline_name
  ) AS newest ON newest.update_id = definitions.update_id
  WHERE definitions.event_type = 'dataset_definition'
) AS defined
LEFT JOIN (
  SELECT events.dataset_name, events.timestamp
  FROM events
  CROSS JOIN period
  WHERE events.event_type = 'flow_progress'
    AND events.timestamp <= period.now
    AND (get_json_object(events.details, '$.flow_progress.status') = 'COMPLETED'
      OR (get_json_object(events.details, '$.flow_progress.status') = 'SKIPPED' AND events.level = 'INFO'))
) AS done ON done.dataset_name = defined.dataset_name
GROUP BY defined.pipeline_name, defined.dataset_name, CAST(done.timestamp AS DATE)
