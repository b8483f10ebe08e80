-- What the pipelines' compute cost in each period, in US dollars at list price, only on Databricks.
--
-- `events` and `period` come from ecommerce_lakehouse.observability.health_sql.
SELECT
  CASE WHEN usage.usage_end_time > period.middle THEN 'current' ELSE 'previous' END AS period,
  sum(usage.usage_quantity * prices.pricing.effective_list.default) AS usd
FROM system.billing.usage AS usage
INNER JOIN system.billing.list_prices AS prices
  ON prices.sku_name = usage.sku_name
  AND prices.cloud = usage.cloud
  AND usage.usage_end_time >= prices.price_start_time
  AND (prices.price_end_time IS NULL OR usage.usage_end_time < prices.price_end_time)
INNER JOIN (SELECT DISTINCT pipeline_id FROM events) AS pipelines
  ON pipelines.pipeline_id = usage.usage_metadata.dlt_pipeline_id
CROSS JOIN period
WHERE usage.usage_end_time > period.start AND usage.usage_end_time <= period.now
GROUP BY 1
