-- Messages to Customer.io that the newest run of a sync left due: a row each, for the alert of that name.
--
-- A sync that has not run for 30 days counts as given up. The alert names the catalog and schema of
-- `activation_runs`.
SELECT
  sync,
  run_id,
  at AS ended_at,
  due,
  error
FROM (
  SELECT
    sync,
    run_id,
    at,
    due,
    error,
    row_number() OVER (PARTITION BY sync ORDER BY at DESC) AS place
  FROM activation_runs
  WHERE due IS NOT NULL AND at > current_timestamp() - INTERVAL 30 DAYS
) AS newest
WHERE place = 1 AND due > 0
