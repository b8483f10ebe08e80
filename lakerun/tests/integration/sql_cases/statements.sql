-- Whole statements. u has keys that repeat, NULLs and ties; e is empty.
SELECT count(*), count(v), count(DISTINCT v), count(DISTINCT k, v) FROM u
SELECT sum(v), sum(x), sum(amount), sum(DISTINCT v), avg(v), avg(amount), min(v), max(v), min(g), max(g) FROM u
SELECT min(x), max(x), min(amount), max(amount), min(day), max(at) FROM u
SELECT count(*), sum(n), avg(n), min(s), max(p), sum(p), avg(p), count_if(b) FROM e
SELECT sum(ti), sum(si), sum(p), sum(q), avg(p), max(q), min(d), max(d), min(f), max(f) FROM t
SELECT avg(q) FROM u JOIN t ON t.i = u.k
! SELECT sum(l) + sum(l) FROM (SELECT 9223372036854775807 AS l UNION ALL SELECT 1)
! SELECT sum(l) FROM VALUES (9223372036854775807), (1) AS v(l)
SELECT sum(v) FILTER (WHERE v > 10), count(*) FILTER (WHERE g = 'a'), max(v) FILTER (WHERE false) FROM u
SELECT count_if(v > 10), count_if(v IS NULL), count_if(false) FROM u
SELECT every(v > 0), some(v > 30), any(v > 100), bool_and(v IS NULL), bool_or(v IS NULL) FROM u
SELECT bit_and(v), bit_or(v), bit_xor(v) FROM u
SELECT max_by(g, id), min_by(g, id), max_by(v, id), min_by(id, v) FROM u WHERE id < 7
SELECT max_by(x, y), min_by(x, y) FROM VALUES (1, 1), (2, 2), (NULL, 3), (9, NULL) AS t(x, y)
SELECT max_by(x, y) FILTER (WHERE y < 3) FROM VALUES (1, 1), (2, 2), (NULL, 3), (9, NULL) AS t(x, y)
SELECT approx_percentile(x, 0.5) FROM VALUES (10), (20), (30), (40) AS v(x)
SELECT percentile_approx(v, 0.5), approx_percentile(v, 0.9), approx_percentile(amount, 0.25), approx_percentile(v, 0), approx_percentile(v, 1) FROM u
SELECT percentile(v, 0.5), percentile(v, 0.25), median(v), percentile(amount, 0.9), median(x) FROM u WHERE id <> 2
SELECT median(v), percentile(v, 0.5), approx_percentile(v, 0.5) FROM u WHERE false
SELECT stddev(v), stddev_samp(v), stddev_pop(v), std(v), variance(v), var_samp(v), var_pop(v) FROM u
SELECT stddev(v), var_pop(v), var_samp(v) FROM u WHERE id = 1
SELECT corr(v, id), covar_pop(v, id), covar_samp(v, id) FROM u
SELECT mean(v), mean(amount), avg(x) FROM u WHERE id <> 2
SELECT sort_array(collect_list(v)), sort_array(collect_set(v)), sort_array(array_agg(g)) FROM u
SELECT collect_list(v), collect_set(v) FROM u WHERE false
SELECT g, sort_array(collect_list(v) FILTER (WHERE v > 10)) FROM u GROUP BY g ORDER BY g
SELECT first(g), last(g), any_value(g), first_value(g), last_value(g) FROM u WHERE id = 1
SELECT g, count(*) FROM u GROUP BY g ORDER BY g
SELECT g, count(*) AS c FROM u GROUP BY g ORDER BY c DESC, g
SELECT g, count(*) AS c FROM u GROUP BY g ORDER BY count(*) DESC, g DESC
SELECT g, sum(v) FROM u GROUP BY ALL ORDER BY ALL
SELECT g, k, sum(v) FROM u GROUP BY ALL ORDER BY g, k
SELECT g, sum(v) FROM u GROUP BY 1 ORDER BY 2, 1
SELECT upper(g) AS h, sum(v) FROM u GROUP BY upper(g) ORDER BY h
SELECT upper(g) AS h, sum(v) FROM u GROUP BY h ORDER BY h
SELECT upper(g) || '!', sum(v) FROM u GROUP BY upper(g) ORDER BY 1
SELECT year(day) AS y, month(day) AS m, count(*) FROM u GROUP BY year(day), month(day) ORDER BY y, m
SELECT g, sum(v) AS s FROM u GROUP BY g HAVING sum(v) > 20 ORDER BY g
SELECT g, sum(v) AS s FROM u GROUP BY g HAVING s > 20 AND g IS NOT NULL ORDER BY g
SELECT sum(v) FROM u HAVING count(*) > 100
SELECT x, count(*) FROM u GROUP BY x ORDER BY x
SELECT d, count(*) FROM t GROUP BY d ORDER BY d
SELECT DISTINCT x FROM u ORDER BY x
SELECT DISTINCT g FROM u ORDER BY g DESC
SELECT DISTINCT k, g FROM u ORDER BY k, g
SELECT DISTINCT v + 1 AS w FROM u ORDER BY w
SELECT CASE WHEN v > 10 THEN 'big' ELSE 'small' END AS size, count(*) FROM u GROUP BY 1 ORDER BY 1
! SELECT v FROM u GROUP BY g
! SELECT nothing FROM u
! SELECT u.nothing FROM u
! SELECT k FROM u a JOIN u b ON a.id = b.id
SELECT id FROM u ORDER BY v, id
SELECT id FROM u ORDER BY v DESC, id
SELECT id FROM u ORDER BY v NULLS LAST, id
SELECT id FROM u ORDER BY v DESC NULLS FIRST, id
SELECT id FROM u ORDER BY x, id
SELECT id FROM u ORDER BY x DESC, id
SELECT id FROM u ORDER BY g, v, id
SELECT id AS n FROM u ORDER BY n DESC LIMIT 3
SELECT id FROM u ORDER BY id LIMIT 2 OFFSET 3
SELECT id FROM u ORDER BY -id LIMIT 2
SELECT id, v AS id2 FROM u ORDER BY id2, id LIMIT 0
SELECT v AS id FROM u ORDER BY id, g NULLS LAST LIMIT 4
SELECT i, s FROM t ORDER BY s
SELECT i, p FROM t ORDER BY p DESC, i
SELECT i FROM t ORDER BY b, i DESC
SELECT i FROM t ORDER BY day DESC, i
SELECT i FROM t ORDER BY d, i
SELECT * FROM u ORDER BY id
SELECT u.* FROM u ORDER BY id
SELECT * EXCEPT (x, at) FROM u ORDER BY id
SELECT id, * EXCEPT (id) FROM u ORDER BY id
SELECT * FROM e
SELECT a.id, b.id FROM u a JOIN u b ON a.k = b.k ORDER BY 1, 2
SELECT a.id, b.id FROM u a LEFT JOIN u b ON a.k = b.v ORDER BY 1, 2
SELECT a.id, b.id FROM u a RIGHT JOIN u b ON a.k + 1 = b.k ORDER BY b.id, a.id
SELECT a.id, b.id FROM u a FULL OUTER JOIN u b ON a.id = b.id + 4 ORDER BY a.id, b.id
SELECT count(*) FROM u a CROSS JOIN u b
SELECT count(*) FROM u a, u b WHERE a.id < b.id
SELECT count(*) FROM u a JOIN u b
SELECT a.id FROM u a LEFT SEMI JOIN u b ON a.id = b.k ORDER BY a.id
SELECT a.id FROM u a LEFT ANTI JOIN u b ON a.id = b.k ORDER BY a.id
SELECT a.id FROM u a SEMI JOIN u b ON a.id = b.k ORDER BY a.id
SELECT a.id FROM u a ANTI JOIN u b ON a.id = b.k ORDER BY a.id
SELECT k, a.id, b.id FROM u a JOIN u b USING (k) ORDER BY 1, 2, 3
SELECT * FROM (SELECT k, id FROM u) a JOIN (SELECT k, v FROM u) b USING (k) ORDER BY 1, 2, 3
SELECT * FROM (SELECT k, id FROM u) a LEFT JOIN (SELECT id AS k, v FROM u) b USING (k) ORDER BY 1, 2, 3
SELECT * FROM (SELECT k, id FROM u) a RIGHT JOIN (SELECT id AS k, v FROM u) b USING (k) ORDER BY 1, 2, 3
SELECT * FROM (SELECT k, id FROM u) a FULL JOIN (SELECT id AS k, v FROM u) b USING (k) ORDER BY 1, 2, 3
SELECT k, g, a.v, b.v FROM u a JOIN u b USING (k, g) ORDER BY a.id, b.id
SELECT * FROM (SELECT k, id FROM u) NATURAL JOIN (SELECT k, v FROM u) ORDER BY 1, 2, 3
SELECT a.id, c.id FROM u a JOIN u b ON a.id = b.k LEFT JOIN u c ON c.id = b.v / 10 ORDER BY 1, 2
SELECT a.id FROM u a JOIN t ON a.id = t.l ORDER BY 1
SELECT a.id FROM u a JOIN u b ON a.x = b.x AND a.id <> b.id ORDER BY 1
SELECT id FROM u WHERE k IN (SELECT id FROM u WHERE v > 10) ORDER BY id
SELECT id FROM u WHERE k NOT IN (SELECT k FROM u) ORDER BY id
SELECT id FROM u WHERE id NOT IN (SELECT k FROM u WHERE k IS NOT NULL) ORDER BY id
SELECT id FROM u WHERE EXISTS (SELECT 1 FROM u b WHERE b.k = u.id) ORDER BY id
SELECT id FROM u WHERE NOT EXISTS (SELECT 1 FROM u b WHERE b.k = u.id) ORDER BY id
SELECT id FROM u a WHERE v = (SELECT max(v) FROM u b WHERE b.k = a.k) ORDER BY id
SELECT id, (SELECT count(*) FROM u b WHERE b.k = a.id) AS c FROM u a ORDER BY id
SELECT id, (SELECT sum(v) FROM u b WHERE b.k = a.id) AS c FROM u a ORDER BY id
SELECT id FROM u a WHERE EXISTS (SELECT 1 FROM u b WHERE b.v > a.v) ORDER BY id
SELECT id FROM u a WHERE NOT EXISTS (SELECT 1 FROM u b WHERE b.v > a.v AND b.g = a.g) ORDER BY id
SELECT id FROM u a WHERE v IN (SELECT v FROM u b WHERE b.k = a.k AND b.id <> a.id) ORDER BY id
SELECT id FROM u a WHERE v NOT IN (SELECT v FROM u b WHERE b.k = a.k AND b.id <> a.id) ORDER BY id
SELECT id, (SELECT count(*) + 1 FROM u b WHERE b.k = a.id) AS c FROM u a ORDER BY id
SELECT id, (SELECT coalesce(sum(v), -1) FROM u b WHERE b.k = a.id) AS c FROM u a ORDER BY id
SELECT id, (SELECT count(*) FROM u b WHERE b.k = a.id AND b.v > 10) AS c FROM u a ORDER BY id
SELECT id, (SELECT count(*) FROM u b WHERE b.k = a.id HAVING count(*) > 1) AS c FROM u a ORDER BY id
SELECT id, (SELECT max(b.v) FROM u b WHERE b.k = a.k AND b.g = a.g) AS c FROM u a ORDER BY id
SELECT id, (SELECT max(v) FROM u b WHERE b.k <=> a.k) AS c FROM u a ORDER BY id
SELECT id, (SELECT max(b.v) FROM u b WHERE b.id < a.id) AS c FROM u a ORDER BY id
! SELECT id, (SELECT max(b.v) - a.v FROM u b WHERE b.k = a.k) AS c FROM u a ORDER BY id
SELECT id FROM u a WHERE v > (SELECT avg(v) FROM u b WHERE b.g = a.g) ORDER BY id
SELECT id FROM u a WHERE (SELECT count(*) FROM u b WHERE b.k = a.id) = 0 ORDER BY id
> SELECT g, sum(v) FROM u a GROUP BY g HAVING sum(v) > (SELECT min(v) FROM u b WHERE b.g = a.g) ORDER BY g
> SELECT id, (SELECT b.n FROM (SELECT k, count(*) AS n FROM u GROUP BY k) b WHERE b.k = a.id) AS c FROM u a ORDER BY id
SELECT id FROM u a WHERE EXISTS (SELECT 1 FROM u b WHERE b.k = a.id AND EXISTS (SELECT 1 FROM u c WHERE c.k = b.id)) ORDER BY id
> SELECT id, (SELECT v FROM u b WHERE b.k = a.k) AS c FROM u a ORDER BY id
SELECT a.id, (SELECT max(b.v) FROM u b WHERE b.k = a.id) + (SELECT count(*) FROM u c WHERE c.k = a.id) AS c FROM u a ORDER BY id
SELECT id, CASE WHEN EXISTS (SELECT 1 FROM u b WHERE b.k = a.id) THEN 'yes' ELSE 'no' END AS c FROM u a ORDER BY id
> SELECT g, (SELECT count(*) FROM u b WHERE b.g = a.g) AS n FROM u a GROUP BY g ORDER BY g
> SELECT g, sum(v) FROM u a GROUP BY g HAVING EXISTS (SELECT 1 FROM u b WHERE b.g = a.g AND b.v > 10) ORDER BY g
SELECT g, sum(v) FROM u a GROUP BY g HAVING sum(v) > (SELECT min(v) FROM u b) ORDER BY g
SELECT g, sum(v) FROM u a WHERE EXISTS (SELECT 1 FROM u b WHERE b.k = a.id) GROUP BY g ORDER BY g
SELECT (SELECT max(v) FROM u), (SELECT count(*) FROM e), (SELECT n FROM e)
! SELECT (SELECT id FROM u)
SELECT (SELECT max(v) FROM u) + 1 AS m
SELECT id FROM u WHERE v > (SELECT avg(v) FROM u) ORDER BY id
SELECT n FROM (SELECT count(*) AS n FROM u GROUP BY g) ORDER BY n
SELECT a.s FROM (SELECT g, sum(v) AS s FROM u GROUP BY g) a WHERE a.g = 'a'
SELECT s.n FROM (SELECT k AS n FROM u ORDER BY id LIMIT 3) s ORDER BY n
WITH a AS (SELECT id, v FROM u WHERE v > 10) SELECT count(*), sum(v) FROM a
WITH a AS (SELECT k, sum(v) AS s FROM u GROUP BY k), b AS (SELECT max(s) AS m FROM a) SELECT a.k, a.s FROM a JOIN b ON a.s = b.m ORDER BY 1
WITH a(p, q) AS (SELECT id, v FROM u) SELECT p FROM a WHERE q = 40 ORDER BY p
WITH u AS (SELECT id FROM u WHERE id < 3) SELECT count(*) FROM u a CROSS JOIN u b
WITH a AS (SELECT 1 AS x) SELECT * FROM a UNION ALL SELECT x + 1 FROM a ORDER BY 1
SELECT k FROM u UNION SELECT id FROM u ORDER BY 1
SELECT k FROM u UNION ALL SELECT v FROM u ORDER BY 1
SELECT k FROM u INTERSECT SELECT id FROM u ORDER BY 1
SELECT k FROM u EXCEPT SELECT id FROM u ORDER BY 1
SELECT k FROM u EXCEPT ALL SELECT id FROM u ORDER BY 1
SELECT k FROM u INTERSECT ALL SELECT k FROM u WHERE id > 1 ORDER BY 1
SELECT d FROM t INTERSECT SELECT d FROM t ORDER BY 1
SELECT d FROM t EXCEPT SELECT f FROM t ORDER BY 1
SELECT d FROM t INTERSECT ALL SELECT d FROM t WHERE i > 2 ORDER BY 1
SELECT f FROM t EXCEPT ALL SELECT f FROM t WHERE i > 4 ORDER BY 1
SELECT x FROM VALUES (0.0D), (-0.0D), (1.5D) AS v(x) INTERSECT SELECT x FROM VALUES (-0.0D) AS w(x)
SELECT x FROM VALUES (0.0D), (1.5D), (NULL) AS v(x) EXCEPT SELECT x FROM VALUES (-0.0D) AS w(x) ORDER BY 1
SELECT x FROM VALUES (0.0D), (-0.0D), (0.0D) AS v(x) EXCEPT ALL SELECT x FROM VALUES (-0.0D) AS w(x)
SELECT x FROM VALUES (0.0D), (-0.0D), (0.0D) AS v(x) INTERSECT ALL SELECT x FROM VALUES (-0.0D), (0.0D) AS w(x)
SELECT count(*) FROM (SELECT x FROM VALUES (0.0D), (-0.0D) AS v(x) UNION SELECT x FROM VALUES (-0.0D) AS w(x))
SELECT x FROM VALUES (-0.0D), (-0.0D) AS v(x) UNION SELECT x FROM VALUES (-0.0D) AS w(x)
SELECT DISTINCT x FROM VALUES (-0.0D), (-0.0D) AS v(x)
> SELECT x FROM VALUES (0.0D), (-0.0D), (CAST('NaN' AS DOUBLE)), (NULL) AS v(x) INTERSECT SELECT x FROM VALUES (-0.0D), (CAST('NaN' AS DOUBLE)), (NULL) AS w(x) ORDER BY 1
> SELECT x FROM VALUES (0.0D), (1.0D), (CAST('NaN' AS DOUBLE)), (NULL) AS v(x) EXCEPT SELECT x FROM VALUES (-0.0D), (CAST('NaN' AS DOUBLE)) AS w(x) ORDER BY 1
> SELECT x FROM VALUES (0.0D), (-0.0D), (0.0D), (CAST('NaN' AS DOUBLE)), (CAST('NaN' AS DOUBLE)) AS v(x) EXCEPT ALL SELECT x FROM VALUES (-0.0D), (CAST('NaN' AS DOUBLE)) AS w(x) ORDER BY 1
> SELECT x FROM VALUES (0.0D), (-0.0D), (0.0D), (CAST('NaN' AS DOUBLE)), (CAST('NaN' AS DOUBLE)) AS v(x) INTERSECT ALL SELECT x FROM VALUES (-0.0D), (0.0D), (CAST('NaN' AS DOUBLE)) AS w(x) ORDER BY 1
> SELECT count(*) FROM (SELECT x FROM VALUES (0.0D), (-0.0D), (CAST('NaN' AS DOUBLE)), (CAST('NaN' AS DOUBLE)) AS v(x) UNION SELECT x FROM VALUES (-0.0D) AS w(x))
SELECT x, y FROM VALUES (1.5D, 'a'), (1.5D, NULL), (NULL, 'a') AS v(x, y) EXCEPT SELECT x, y FROM VALUES (1.5D, NULL), (NULL, 'a') AS w(x, y) ORDER BY 1, 2
SELECT x FROM VALUES (1.0D), (2.5D) AS v(x) INTERSECT SELECT x FROM VALUES (1), (2) AS w(x) ORDER BY 1
SELECT x FROM VALUES (CAST(0.1 AS FLOAT)), (CAST(0.5 AS FLOAT)) AS v(x) EXCEPT SELECT x FROM VALUES (0.1D), (0.5D) AS w(x) ORDER BY 1
> SELECT x FROM VALUES (array(0.0D)), (array(-0.0D)) AS v(x) EXCEPT SELECT x FROM VALUES (array(-0.0D)) AS w(x)
SELECT k FROM u MINUS SELECT 1 ORDER BY 1
SELECT 1 AS a UNION ALL SELECT 2.5 ORDER BY a
SELECT 1 AS a UNION ALL SELECT NULL ORDER BY a
SELECT id, NULL AS z FROM u UNION ALL SELECT 1, 'x' ORDER BY 1, 2
SELECT amount FROM u UNION ALL SELECT id FROM u ORDER BY 1
SELECT day FROM u UNION ALL SELECT at FROM u ORDER BY 1
SELECT x FROM u UNION SELECT x FROM u ORDER BY 1
SELECT 1 UNION SELECT 1 UNION ALL SELECT 1
(SELECT id FROM u ORDER BY id LIMIT 1) UNION ALL (SELECT id FROM u ORDER BY id DESC LIMIT 1) ORDER BY 1
! SELECT 1 UNION SELECT 1, 2
SELECT id, row_number() OVER (ORDER BY v DESC, id) AS r FROM u ORDER BY id
SELECT id, rank() OVER (ORDER BY v) AS r, dense_rank() OVER (ORDER BY v) AS d FROM u ORDER BY id
SELECT id, percent_rank() OVER (ORDER BY v) AS r, cume_dist() OVER (ORDER BY v) AS c, ntile(3) OVER (ORDER BY id) AS n FROM u ORDER BY id
SELECT id, lag(v) OVER (ORDER BY id) AS a, lead(v) OVER (ORDER BY id) AS b, lag(v, 2) OVER (ORDER BY id) AS c, lag(v, 1, 0) OVER (ORDER BY id) AS d FROM u ORDER BY id
SELECT id, lead(v, 2, -1) OVER (PARTITION BY g ORDER BY id) AS a, lead(g, 1) OVER (ORDER BY id) AS b FROM u ORDER BY id
SELECT id, lag(v) IGNORE NULLS OVER (ORDER BY id) AS a, last_value(v) IGNORE NULLS OVER (ORDER BY id) AS b FROM u ORDER BY id
SELECT id, first_value(v) OVER (PARTITION BY g ORDER BY id) AS f, last_value(v) OVER (PARTITION BY g ORDER BY id) AS l, nth_value(v, 2) OVER (PARTITION BY g ORDER BY id) AS n FROM u ORDER BY id
SELECT id, sum(v) OVER (ORDER BY id) AS s, sum(v) OVER (PARTITION BY g) AS t, avg(amount) OVER (PARTITION BY k) AS a FROM u ORDER BY id
SELECT id, sum(v) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM u ORDER BY id
SELECT id, sum(v) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS s FROM u ORDER BY id
SELECT id, sum(v) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS s FROM u ORDER BY id
SELECT id, count(*) OVER (ORDER BY v RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS c FROM u ORDER BY id
> SELECT id, sum(v) OVER (ORDER BY v RANGE BETWEEN 10 PRECEDING AND CURRENT ROW) AS c FROM u ORDER BY id
SELECT id, sum(v) OVER (ORDER BY v) AS s FROM u ORDER BY id
SELECT id, count(*) OVER () AS c, max(g) OVER (PARTITION BY k ORDER BY id) AS m FROM u ORDER BY id
SELECT g, sum(v) AS s, rank() OVER (ORDER BY sum(v) DESC) AS r FROM u GROUP BY g ORDER BY g
SELECT g, sum(sum(v)) OVER () AS s FROM u GROUP BY g ORDER BY g
SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY g ORDER BY id DESC) AS r FROM u) WHERE r = 1 ORDER BY id
SELECT id FROM u QUALIFY row_number() OVER (PARTITION BY g ORDER BY id) = 1 ORDER BY id ==> SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY g ORDER BY id) AS r FROM u) WHERE r = 1 ORDER BY id
SELECT id, sum(v) FILTER (WHERE v > 10) OVER (ORDER BY id) AS s FROM u ORDER BY id
! SELECT row_number() OVER () FROM u
SELECT i, explode(arr) AS x FROM t ORDER BY i, x
SELECT i, explode(arr) FROM t WHERE i = 1 ORDER BY 2
SELECT i, explode_outer(arr) AS x FROM t ORDER BY i, x
SELECT i, posexplode(words) FROM t ORDER BY i, pos
SELECT i, posexplode_outer(words) AS (p, w) FROM t ORDER BY i, p
SELECT i, x FROM t LATERAL VIEW explode(arr) v AS x ORDER BY i, x
SELECT i, x FROM t LATERAL VIEW OUTER explode(arr) v AS x ORDER BY i, x
! SELECT i, p, x FROM t LATERAL VIEW posexplode(words) v AS p, x ORDER BY i, p
! SELECT i, p, x FROM t LATERAL VIEW OUTER posexplode(words) v AS p, x ORDER BY i, p
SELECT i, v.x, y FROM t LATERAL VIEW explode(arr) v AS x LATERAL VIEW explode(words) w AS y ORDER BY 1, 2, 3
SELECT i, key, value FROM t LATERAL VIEW explode(m) v ORDER BY i, key
SELECT explode(map('a', 1, 'b', 2))
SELECT explode(array(1, 2)) AS x
SELECT x, count(*) FROM (SELECT explode(arr) AS x FROM t) GROUP BY x ORDER BY x
SELECT explode(sequence(1, 3)) AS x ORDER BY x DESC
SELECT e.n FROM (SELECT explode(from_json('[{"n": 1}, {"n": 2}]', 'array<struct<n int>>')) AS e) ORDER BY 1
SELECT col1, col2 FROM VALUES (1, 'a'), (2, NULL)
SELECT * FROM VALUES (1, 1.5), (2L, 2) AS v(a, b) ORDER BY a
SELECT a + 1 AS b, b * 2 AS c FROM VALUES (1), (2) AS v(a) ORDER BY c
SELECT t.st.a AS a, st.b AS b FROM t WHERE st.a > 0 ORDER BY i
SELECT count(*) FROM t WHERE s LIKE '%a%' AND n IS NOT NULL OR b
SELECT max(t.st.a) FROM t
SELECT t.st.b, count(*) FROM t GROUP BY t.st.b ORDER BY 1
SELECT sum(amount) / count(*), sum(amount) / sum(v), 100 * count_if(v > 0) / count(*) FROM u
SELECT round(100.0 * count_if(v > 10) / count(*), 2) AS share FROM u
SELECT sum(v) / nullif(sum(k), 0), coalesce(sum(v), 0) * 1.0 FROM u WHERE false
SELECT date_trunc('DAY', at) AS d, count(*) FROM u GROUP BY date_trunc('DAY', at) ORDER BY d
SELECT 1 AS `a b`, 2 AS c
> SELECT g, sum(v) FROM u GROUP BY ROLLUP (g) ORDER BY g
> SELECT g, sum(v) FROM u GROUP BY CUBE (g) ORDER BY g
> SELECT * FROM (SELECT g, v FROM u) PIVOT (sum(v) FOR g IN ('a', 'b'))
> SELECT count(*) FROM u TABLESAMPLE (100 PERCENT)
> SELECT approx_count_distinct(v) FROM u
> SELECT mode(v) FROM u WHERE id < 3
> SELECT listagg(g, ',') FROM u WHERE id = 1
> SELECT * FROM range(3)
> SELECT rand() < 2
