-- Of each dataset's records in each period, those that its expectations judged, and the failures.
--
-- A record that fails two expectations is two failures: which records failed is not in the event log.
-- `judged` comes from ecommerce_lakehouse.observability.health_sql.
SELECT
  rules.period,
  rules.dataset_name,
  sum(rules.failed_records) AS failed_records,
  max(rules.judged_records) AS judged_records
FROM (
  SELECT
    period,
    dataset_name,
    expectation_name,
    sum(failed_records) AS failed_records,
    sum(passed_records + failed_records) AS judged_records
  FROM judged
  GROUP BY period, dataset_name, expectation_name
) AS rules
GROUP BY rules.period, rules.dataset_name
