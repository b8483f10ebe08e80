-- Records that each expectation judged in the period, over all updates, and those that failed.
--
-- `judged` comes from ecommerce_lakehouse.observability.health_sql.
SELECT
  pipeline_name,
  regexp_extract(dataset_name, '([^.`]+)`?$', 1) AS dataset_name,
  expectation_name,
  sum(passed_records) AS passed_records,
  sum(failed_records) AS failed_records
FROM judged
GROUP BY pipeline_name, judged.dataset_name, expectation_name
ORDER BY failed_records DESC, dataset_name, expectation_name
