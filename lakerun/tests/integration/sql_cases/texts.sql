-- Texts.
length(s)
length('')
length('ü€')
length(bin)
len(s)
char_length(s)
character_length('abc')
octet_length(s)
octet_length(bin)
bit_length(s)
bit_length(bin)
> upper(s)
> lower(s)
ucase('abc')
lcase('ABC')
upper('äöü')
lower('ÄÖÜ')
> upper('ß')
> lower('İ')
upper(NULL)
trim(s)
trim('  a b  ')
ltrim('  a ')
rtrim(' a  ')
btrim('  a ')
trim('\t a')
trim(BOTH 'x' FROM 'xxaxx')
trim(LEADING 'xy' FROM 'xyxaxy')
trim(TRAILING 'x' FROM 'xax')
substring('abc', 0, 2)
substring('abc', 1, 2)
substring('abc', 2)
substring('abc', -2)
substring('abc', -2, 1)
substring('abc', -5, 3)
substring('abc', -5, 10)
substring('abc', 5)
substring('abc', 2, 0)
substring('abc', 2, -1)
substring('abc', 0)
substring(s, 2, 3)
substring(s, -3)
substring(s, n, 2)
substr(s, 3)
substr('hello', 2, 3)
substring('hello' FROM 2 FOR 3)
substring('ü€x', 2, 1)
substring(s, NULL)
left('abc', 2)
left('abc', 0)
left('abc', -1)
left(s, 3)
left('abc', 9)
right('abc', 2)
right('abc', 0)
right('abc', -2)
right(s, 2)
lpad('7', 3, '0')
lpad('abcd', 2, 'x')
lpad('a', 5, 'xy')
lpad('a', 3)
lpad('a', 3, '')
lpad('abc', 0, 'x')
lpad('abc', -1, 'x')
lpad(s, 5, '*')
lpad(NULL, 3, 'x')
rpad('7', 3, '0')
rpad('abcd', 2, 'x')
rpad('a', 5, 'xy')
rpad('a', 3)
rpad('a', 3, '')
rpad(s, 5, '*')
rpad('a', -3, 'x')
repeat('ab', 3)
repeat('ab', 0)
repeat('ab', -1)
repeat(s, 2)
repeat('a', NULL)
space(3)
space(0)
space(-1)
reverse('abc')
> reverse(s)
> reverse('äb')
replace('abcabc', 'b', 'x')
replace('abc', 'b')
replace('abc', '', 'x')
replace(s, 'a', 'bb')
replace('abc', 'z', NULL)
replace('aaa', 'aa', 'b')
translate('abcba', 'ab', 'xy')
translate('abc', 'abc', 'x')
translate('abc', 'b', '')
> translate('aab', 'aa', 'xy')
translate(s, 'ax', 'bX')
instr('abc', 'c')
instr('abc', 'z')
instr('abc', '')
instr(s, 'b')
locate('b', 'abcb')
locate('z', 'abc')
position('b', 'abc')
position('c' IN 'abc')
ascii('A')
ascii('')
ascii('ü')
ascii('€')
ascii(s)
contains('abc', 'b')
contains(s, 'x')
contains(s, '')
startswith('abc', 'a')
startswith(s, 'x')
endswith('abc', 'bc')
endswith(s, '')
split_part('a,b,c', ',', 2)
split_part('a,b,c', ',', -1)
split_part('a,b,c', ',', 9)
split_part('a,b', ';', 1)
! split_part('a,b', ',', 0)
split_part(s, ',', 1)
concat('a', 'b')
concat('a', NULL)
concat(s, '!')
concat(s, n)
concat('a', 1, true)
concat('x')
concat(s, day)
concat(s, at)
concat(p, '')
'a' || 'b'
s || 'x'
n || ''
> 'a' 'b'
concat_ws(',', 'a', NULL, 'b')
concat_ws('-', s, 'x')
concat_ws(',', n, l)
concat_ws(NULL, 'a', 'b')
concat_ws(',', NULL, NULL)
base64(bin)
> base64(CAST('hello world, hello world, hello world, hello world, hello world, hello' AS BINARY))
md5('a')
md5(s)
md5(bin)
sha1('a')
sha('a')
sha1(s)
sha2('a', 256)
sha2(s, 256)
sha2('a', 0)
s = 'a'
s < 'b'
s > 'A'
'a' < 'B'
'a' < 'ä'
'' < 'a'
'a' = 'a '
'Z' < 'a'
s BETWEEN 'a' AND 'z'
s IN ('a', '12')
s NOT IN ('a', NULL)
s LIKE 'a%'
s LIKE '%b%'
s LIKE '_'
s LIKE '%'
s LIKE ''
s NOT LIKE 'a%'
s LIKE '%\%%'
s LIKE '100!%!_%' ESCAPE '!'
s LIKE '%/%%' ESCAPE '/'
> s LIKE s
'a_c' LIKE 'a\_c'
'abc' LIKE 'a\_c'
'a\nb' LIKE 'a%b'
'ABC' LIKE 'abc'
'a' LIKE 'm\a'
> s ILIKE 'A%'
> s ILIKE '%ABC%'
'ABC' ILIKE 'abc'
s RLIKE '^[a-z]+$'
s RLIKE '[0-9]'
s RLIKE 'b|x'
'abc' RLIKE 'b'
'a.c' RLIKE 'a\\.c'
regexp_like(s, '^\\s+')
regexp_like('a1', '\\w\\d')
regexp('abc', 'c$')
> 'a\n' RLIKE 'a$'
'a\nb' RLIKE 'a.b'
'ab' RLIKE '(a)(b)?'
> 'foo' RLIKE '(?i)FOO'
'foo' RLIKE 'fo{2}'
'x' RLIKE '[^a-w]'
'a-b' RLIKE '[\\w-]+'
> 'aa' RLIKE '(a)\\1'
> 'abc' RLIKE 'a(?=b)'
regexp_extract('a1b22', '([a-z])([0-9]+)', 2)
regexp_extract('a1b22', '([a-z])([0-9]+)')
regexp_extract('a1b22', '[a-z][0-9]+', 0)
regexp_extract('abc', '(x)', 1)
regexp_extract('ac', 'a(b)?c', 1)
regexp_extract(s, '([a-z]+)', 1)
regexp_extract(s, '^(\\d+)', 1)
! regexp_extract('abc', 'b', 1)
! regexp_extract('abc', '(b)', 2)
> regexp_extract(NULL, '(a)', 1)
regexp_replace('abcabc', 'b', 'x')
regexp_replace('ab', '(a)(b)', '$2$1')
regexp_replace(s, '[aeiou]', '*')
regexp_replace(s, '\\s+', ' ')
> regexp_replace('aaa', 'a*', 'x')
> regexp_replace('abc', '', '-')
regexp_replace('a.b', '\\.', '')
regexp_replace('abc', 'b', '$0$0')
split('a,b,c', ',')
split('a,b,', ',')
split('', ',')
split(s, ',')
split('a1b2c', '[0-9]')
split('a.b', '\\.')
> split('a|b', '|')
> split('abc', '')
split('a  b', ' +')
'it''s'
'a\tb'
'a\\b'
'\u00e9'
r'a\d'
"double"
'50%'
X'1F'
s IS NULL
s IS NOT NULL
length(trim(s)) > 0
> initcap('hello world')
> soundex('a')
> format_string('%d', 1)
> printf('%s', 'a')
> levenshtein('a', 'b')
rlike('abc', 'b')
