-- Macros, each `spark_<name>`, for functions that DuckDB lacks or that differ from Spark's. For a value whose result
-- is not known to be the same, a macro calls spark_only, which leaves the statement to Spark. A macro comes after
-- those that it calls.

only(what) AS
    error('only Spark knows: ' || what);

trimmed(s) AS
    regexp_replace(s, '^[\x00-\x20]+|[\x00-\x20]+$', '', 'g');

ascii_only(s) AS
    strlen(s) = length(s);

divide(a, b) AS
    CASE
    WHEN b = 0 THEN error('division by zero; use try_divide')
    ELSE a / b
    END;

int_divide(a, b) AS
    CASE
    WHEN b = 0 THEN error('division by zero; use try_divide')
    ELSE a // b
    END;

remainder(a, b) AS
    CASE
    WHEN b = 0 THEN error('division by zero; use try_mod')
    ELSE a % b
    END;

pmod(a, b) AS
    CASE
    WHEN b = 0 THEN error('division by zero')
    WHEN a % b < 0 THEN (a % b + b) % b
    ELSE a % b
    END;

half_up(n, d) AS
    sign(n) * sign(d) * ((2 * abs(CAST(n AS HUGEINT)) + abs(CAST(d AS HUGEINT))) // (2 * abs(CAST(d AS HUGEINT))));

double_text(x) AS
    CASE
    WHEN isnan(x) THEN 'NaN'
    WHEN isinf(x) THEN CASE
    WHEN x > 0 THEN 'Infinity'
    ELSE '-Infinity' END
    WHEN x = 0 OR (abs(x) >= 0.001 AND abs(x) < 10000000) THEN CAST(x AS VARCHAR)
    WHEN x IS NOT NULL THEN spark_only('a very large or small number as text')
    END;

date_text(d) AS
    CASE
    WHEN year(d) BETWEEN 1 AND 9999 THEN CAST(d AS VARCHAR)
    WHEN d IS NOT NULL THEN spark_only('a date outside of the years 1 to 9999 as text')
    END;

double_whole(x, top) AS
    CASE
    WHEN abs(x) >= top THEN spark_only('the integral part of a number of this size')
    ELSE trunc(x)
    END;

double_range(x) AS
    CASE
    WHEN isnan(x) OR abs(x) >= 9223372036854775808.0 THEN spark_only('the integral part of a number of this size')
    ELSE x
    END;

cased(s) AS
    spark_ascii_only(s) OR regexp_full_match(s, '[\x00-\x7f\x{a0}-\x{b4}\x{b6}-\x{de}\x{e0}-\x{fe}\x{2010}-\x{2027}\x{20ac}]*');

lower(s) AS
    CASE
    WHEN spark_cased(s) THEN lower(s)
    WHEN s IS NOT NULL THEN spark_only('the case of these letters')
    END;

upper(s) AS
    CASE
    WHEN spark_cased(s) THEN upper(s)
    WHEN s IS NOT NULL THEN spark_only('the case of these letters')
    END;

lpad(s, n, p) AS
    CASE
    WHEN s IS NULL OR n IS NULL OR p IS NULL THEN NULL
    WHEN n <= 0 THEN ''
    WHEN p = '' THEN left(s, n)
    ELSE lpad(s, n, p)
    END;

rpad(s, n, p) AS
    CASE
    WHEN s IS NULL OR n IS NULL OR p IS NULL THEN NULL
    WHEN n <= 0 THEN ''
    WHEN p = '' THEN left(s, n)
    ELSE rpad(s, n, p)
    END;

translate(s, a, b) AS
    CASE
    WHEN length(a) = len(list_distinct(string_split(a, ''))) THEN translate(s, a, b)
    WHEN a = '' THEN s
    WHEN a IS NOT NULL THEN spark_only('translate with a repeated letter')
    END;

split_part(s, p, n) AS
    CASE
    WHEN n = 0 THEN error('split_part counts from 1')
    WHEN p = '' THEN spark_only('split_part without a delimiter')
    ELSE coalesce(split_part(s, p, n), CASE
    WHEN s IS NOT NULL AND p IS NOT NULL AND n IS NOT NULL THEN '' END)
    END;

slice(a, start, n) AS
    CASE
    WHEN start = 0 THEN error('slice counts from 1')
    WHEN n < 0 THEN error('slice takes a length of 0 or more')
    WHEN a IS NULL OR start IS NULL OR n IS NULL THEN NULL
    WHEN n = 0 OR abs(CAST(start AS BIGINT)) > len(a) THEN []
    WHEN start > 0 THEN list_slice(a, start, CAST(start AS BIGINT) + n - 1)
    ELSE list_slice(a, len(a) + start + 1, len(a) + start + n)
    END;

shift_left(a, n) AS
    CASE
    WHEN a >= 0 AND n BETWEEN 0 AND 30 AND a < (1 << (30 - n)) THEN a << n
    WHEN a IS NULL OR n IS NULL THEN NULL
    ELSE spark_only('this shift')
    END;

unhex(s) AS
    CASE
    WHEN regexp_full_match(s, '([0-9a-fA-F]{2})*') THEN unhex(s)
    WHEN s IS NOT NULL THEN spark_only('these hexadecimal digits')
    END;

last_day(d) AS
    CAST(last_day(d) AS DATE);

add_months(d, n) AS
    CAST(d + to_months(CAST(n AS INTEGER)) AS DATE);

whole_months(a, b) AS
    date_diff('month', a, b) - CASE
    WHEN b >= a AND (epoch_us(b) - epoch_us(date_trunc('month', b))) < (epoch_us(a) - epoch_us(date_trunc('month', a))) THEN 1
    WHEN b < a AND (epoch_us(b) - epoch_us(date_trunc('month', b))) > (epoch_us(a) - epoch_us(date_trunc('month', a))) THEN -1
    ELSE 0
    END;

seconds(t) AS
    epoch_us(t) // 1000000 - CASE
    WHEN epoch_us(t) % 1000000 < 0 THEN 1
    ELSE 0
    END;

floor_div(a, b) AS
    a // b - CASE
    WHEN a % b < 0 THEN 1
    ELSE 0
    END;

substring(s, start, n) AS
    CASE
    WHEN start IS NULL OR n IS NULL THEN NULL
    WHEN n <= 0 THEN CASE
    WHEN s IS NOT NULL AND start IS NOT NULL THEN '' END
    WHEN start > 0 THEN substring(s, start, n)
    WHEN start = 0 THEN substring(s, 1, n)
    ELSE substring(s, greatest(length(s) + start + 1, 1), greatest(n + least(length(s) + start, 0), 0))
    END;

element_at(a, i) AS
    CASE
    WHEN i = 0 THEN error('element_at counts from 1')
    WHEN a IS NULL OR i IS NULL THEN NULL
    WHEN abs(CAST(i AS BIGINT)) > len(a) THEN error('the index ' || i || ' is outside the array')
    ELSE a[i]
    END;

item(a, i) AS
    CASE
    WHEN a IS NULL OR i IS NULL THEN NULL
    WHEN i < 0 OR i >= len(a) THEN error('the index ' || i || ' is outside the array')
    ELSE a[CAST(i AS BIGINT) + 1]
    END;

contains(a, x) AS
    CASE
    WHEN a IS NULL OR x IS NULL THEN NULL
    WHEN list_contains(a, x) THEN true
    WHEN len(a) > list_count(a) THEN NULL
    ELSE false
    END;

any_of(flags) AS
    CASE
    WHEN flags IS NULL THEN NULL
    WHEN list_contains(flags, true) THEN true
    WHEN len(flags) > list_count(flags) THEN NULL
    ELSE false
    END;

all_of(flags) AS
    CASE
    WHEN flags IS NULL THEN NULL
    WHEN list_contains(flags, false) THEN false
    WHEN len(flags) > list_count(flags) THEN NULL
    ELSE true
    END;

or_one_null(x) AS
    CASE
    WHEN coalesce(len(x), 0) = 0 THEN [NULL]
    ELSE x
    END;

json(j) AS
    CASE
    WHEN json_valid(j) THEN CAST(j AS JSON)
    WHEN regexp_matches(j, '[''}\]\x00-\x1f]') THEN spark_only('JSON that is not valid')
    END;

json_text(v) AS
    CASE
    WHEN v IS NULL OR json_type(v) = 'NULL' THEN NULL
    WHEN json_type(v) = 'VARCHAR' THEN v->>'$'
    WHEN regexp_full_match(CAST(v AS VARCHAR), '-?([1-9][0-9]{0,6}[.]([0-9]{0,7}[1-9]|0)|0[.](0|0{0,2}[1-9]|0{0,2}[1-9][0-9]{0,5}[1-9]))') THEN CAST(v AS VARCHAR)
    WHEN regexp_matches(regexp_replace(CAST(v AS VARCHAR), '"([^"\\]|\\.)*"', '', 'g'), '[.]|[0-9]{16}') THEN spark_only('this number in JSON')
    ELSE CAST(v AS VARCHAR)
    END;

json_found(v) AS
    CASE
    WHEN len(v) = 0 THEN NULL
    WHEN len(v) = 1 THEN spark_only('one value at a path with [*]')
    ELSE CAST(to_json(v) AS VARCHAR)
    END;
