-- Arrays, maps, structs, lambdas, JSON.
array(1, 2, 3)
array(1, 2L)
array(1, 2.5)
array('a', NULL)
array(n, l)
array(array(1), array(2, 3))
! arr[0]
! arr[1]
! array(1, 2)[5]
! array(1, 2)[-1]
array(1, 2)[1]
array(1, NULL)[1]
element_at(array(10, 20), 1)
element_at(array(10, 20), -1)
! element_at(array(10, 20), 3)
! element_at(array(10, 20), 0)
element_at(m, 'k')
element_at(map(1, 'a'), 2)
try_element_at(array(1), 5)
try_element_at(arr, 1)
try_element_at(arr, -2)
! try_element_at(arr, 0)
try_element_at(m, 'zz')
get(arr, 0)
get(arr, 5)
get(arr, -1)
size(arr)
size(m)
size(array(1, 2))
size(CAST(NULL AS array<int>))
cardinality(arr)
cardinality(m)
array_size(arr)
array_contains(arr, 1)
array_contains(arr, 5)
array_contains(array(1, NULL), 2)
array_contains(array(1, NULL), 1)
array_contains(words, 'x')
> array_contains(arr, 1L)
array_position(arr, 7)
array_position(array(1, 2), 9)
array_position(words, 'x')
array_position(array(1, NULL), 5)
array_max(arr)
array_min(arr)
array_max(words)
array_min(array(NULL, 3))
> array_max(array(1D, CAST('NaN' AS DOUBLE)))
array_join(words, ',')
array_join(array('a', NULL, 'b'), '-')
array_join(words, '')
array_append(arr, 9)
array_append(array('a'), NULL)
array_compact(arr)
array_compact(words)
array_repeat('a', 3)
array_repeat(n, 2)
array_repeat(1, 0)
array_repeat(1, -2)
sort_array(arr)
sort_array(words)
sort_array(array(3, NULL, 1))
reverse(arr)
reverse(words)
slice(arr, 1, 2)
slice(arr, -2, 2)
slice(array(1, 2, 3), 2, 9)
slice(array(1, 2, 3), 9, 1)
! slice(array(1, 2, 3), 0, 1)
slice(array(1, 2, 3), -9, 2)
flatten(array(array(1, 2), array(3)))
flatten(array(array(1), NULL))
flatten(array(arr, arr))
concat(arr, array(9))
> concat(words, NULL)
concat(array(1), array(2L))
sequence(1, 5)
sequence(5, 1)
sequence(1L, 3L)
sequence(3, 3)
> sequence(1, 5, 2)
! transform(arr, x -> x + 1)
transform(words, w -> upper(w))
! transform(arr, x -> x * n)
transform(arr, x -> x IS NULL)
> transform(array(1, 2), (x, i) -> x + i)
transform(arr, x -> named_struct('v', x))
filter(arr, x -> x > 1)
filter(words, w -> w IS NOT NULL)
filter(arr, x -> x = n)
exists(arr, x -> x > 5)
exists(arr, x -> x IS NULL)
exists(array(1, NULL), x -> x > 5)
forall(arr, x -> x > 0)
forall(array(1, NULL), x -> x > 0)
forall(array(1, NULL), x -> x > 5)
> aggregate(array(1, 2), 0, (a, x) -> a + x)
> array_distinct(arr)
> array_union(arr, arr)
> array_sort(arr)
map('a', 1)
map('a', 1)['a']
map('a', 1)['z']
map('a', 1, 'b', NULL)
map(1, 'x', 2, 'y')
m['k']
m['zz']
map_keys(m)
map_values(m)
map_contains_key(m, 'a')
map_contains_key(map(1, 2), 1)
> map_entries(m)
named_struct('a', 1, 'b', 'x')
named_struct('a', n, 'b', s).b
named_struct('a', named_struct('b', 1)).a.b
struct(1, 'a')
struct(n, s)
struct(n AS k, s AS v).v
st
st.a
st.b
st['a']
t.st.a
arr
m
words
bin
st IS NULL
st.a + 1
> arr = array(1, 2, 3)
> st = named_struct('a', 1, 'b', 'x')
get_json_object(j, '$.a')
get_json_object(j, '$.b')
get_json_object(j, '$.b.c')
get_json_object(j, '$.a.b')
get_json_object(j, '$.b[1].c')
get_json_object(j, '$[1]')
get_json_object(j, '$.c')
get_json_object(j, '$')
get_json_object('{"a": {"b": "x"}}', '$.a.b')
get_json_object('{"a": {"b": 1}}', '$.a')
get_json_object('{"a": null}', '$.a')
get_json_object('{"a": tru', '$.a')
get_json_object('{"a": [{"b": 1}, {"b": 2}]}', '$.a[*].b')
> get_json_object('{"a": [{"b": 1}]}', '$.a[*].b')
get_json_object('{"a": [{"b": "x"}, {"b": "y"}]}', '$.a[*].b')
get_json_object('{"a": []}', '$.a[*].b')
> get_json_object('{"a": 1.50}', '$.a')
> get_json_object('{"a": 1e5}', '$.a')
> get_json_object('{"a": 12345678901234567890}', '$.a')
get_json_object('{"a": "\u00e9\\n"}', '$.a')
get_json_object('{"a": {"x": "\u00e9"}}', '$.a')
get_json_object('{"a b": 1}', '$[''a b'']')
get_json_object('not json', '$.a')
> get_json_object('{"a": 1} tail', '$.a')
> get_json_object("{'a': 1}", '$.a')
get_json_object('', '$.a')
get_json_object(NULL, '$.a')
get_json_object('{"a": true}', '$.a')
get_json_object('{"a": 1, "a": 2}', '$.a')
get_json_object('{"a": {"b": null}}', '$.a')
get_json_object('{"a": [1, null, "x"]}', '$.a')
get_json_object('{"a": ""}', '$.a')
j:a ==> get_json_object(j, '$.a')
j:b.c ==> get_json_object(j, '$.b.c')
j:b[1].c ==> get_json_object(j, '$.b[1].c')
j:a.b[0]::int ==> CAST(get_json_object(j, '$.a.b[0]') AS INT)
from_json('{"a": 1, "b": "x"}', 'a int, b string').b
from_json('{"a": 1, "b": "x"}', 'a int, b string')
from_json('{"a": "1"}', 'a int')
from_json('{"a": 1.5}', 'a int')
from_json('{"a": 99999999999}', 'a int')
from_json('{"a": 99999999999}', 'a bigint')
from_json('{"b": 1}', 'a int')
from_json('{"a": 5}', 'a string')
from_json('{"a": true}', 'a string')
from_json('{"a": true}', 'a boolean')
from_json('{"a": "true"}', 'a boolean')
from_json('{"a": 5}', 'a double')
from_json('{"a": 5.25}', 'a double')
from_json('{"a": {"b": [1, 2]}}', 'a struct<b: array<int>>')
from_json('{"a": {"b": [1, null, 3]}}', 'a struct<b: array<bigint>>').a.b
from_json('[{"n": 1}, {"n": "no"}]', 'array<struct<n bigint>>')
from_json('[{"n": 1}, {"n": "no"}]', 'array<struct<n bigint>>')[1].n
from_json('[1, 2]', 'array<int>')
from_json('["a", null]', 'array<string>')
from_json('[]', 'array<int>')
from_json('{}', 'a int')
from_json('{"t": "2024-03-01T12:00:00Z"}', 't timestamp').t
from_json('{"t": "2024-03-01 12:00:00.5"}', 't timestamp').t
from_json('{"t": "2024-03-01T12:00:00.000+00:00"}', 't timestamp').t
from_json('broken', 'a int')
> from_json('', 'a int')
from_json(NULL, 'a int')
> from_json('{"a": {"b": 1}}', 'a string')
from_json('{"a": null}', 'a string')
from_json('{"A": 1}', 'a int')
> from_json('{"a": 1, "a": 2}', 'a int')
> from_json('1', 'a int')
> from_json('[1]', 'a int')
> from_json('{"a": 1}', 'array<struct<a int>>')
from_json('{"a": [1]}', 'a int')
from_json('{"a": 1}', 'a array<int>')
> from_json('null', 'a int')
> to_json(named_struct('a', 1, 'b', NULL))
to_json(named_struct('a', 1, 'b', CAST(NULL AS INT)))
to_json(named_struct('a', 'x"y', 'b', true))
to_json(named_struct('a', DATE'2024-01-01'))
to_json(st)
to_json(array(1, NULL, 2))
> to_json(array(named_struct('a', 1)))
to_json(named_struct('a', named_struct('b', 1, 'c', CAST(NULL AS INT))))
to_json(named_struct('a', array('x', NULL)))
to_json(named_struct('a', 'ü/\\'))
> to_json(named_struct('a', 1.5D))
> to_json(m)
CASE WHEN n > 0 THEN 'p' WHEN n < 0 THEN 'm' ELSE 'z' END
CASE n WHEN 1 THEN 'one' WHEN 0 THEN 'zero' END
CASE WHEN b THEN 1 ELSE 2L END
CASE WHEN b THEN p ELSE 0 END
CASE WHEN b THEN 1.5 ELSE 2 END
! CASE WHEN NULL THEN 1 ELSE 2 END
CASE WHEN n = 0 THEN 0 ELSE 10 / n END
CASE WHEN b THEN NULL ELSE NULL END
> CASE WHEN b THEN 1 ELSE 'x' END
if(b, 1, 2)
if(n > 0, p, q)
if(isnull(NULL), nvl(NULL, 'n'), 'x')
iff(b, 1, 2) ==> if(b, 1, 2)
coalesce(n, 0)
coalesce(NULL, n, l)
coalesce(p, 0)
coalesce(s, 'none')
coalesce(d, 0)
coalesce(NULL, NULL)
nvl(n, 5)
ifnull(n, 5)
nvl2(n, 'a', 'b')
nullif(n, 0)
nullif(s, '')
nullif(1, 1.0)
isnull(n)
isnotnull(n)
b AND NULL
b OR NULL
NOT b
b AND n > 0 OR s = 'a'
b IS TRUE
b IS NOT TRUE
b IS FALSE
NULL
true
b = true
!b
