-- Requests to Customer.io that succeeded within the last two days, per hundred, for the alert of that name.
--
-- The same figure as the health check's: a request that rejects a row has succeeded. No row without requests.
-- The alert names the catalog and schema of `activation_requests`.
SELECT
  count(*) AS requests,
  100 * count_if(status < 500 AND status NOT IN (401, 403, 408, 429)) / count(*) AS success_percent
FROM activation_requests
WHERE at > current_timestamp() - INTERVAL 2 DAYS
HAVING count(*) > 0
