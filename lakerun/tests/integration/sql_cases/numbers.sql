-- Arithmetic and numbers. t has a row of NULLs, of zeros, of the largest and of the smallest values.
ti + 0
ti % 5
si - 1L
n + 1L
n + 0.5
n + 0.5D
n + d
f + d
f + n
f + f
f * 2
n * 2L
ti * 2
l + 0
d + d
d * 2
d - d
-d
-f
-p
-q
p + p
p + q
p - 1
p * 2
p * 1.5
p * p
p + n
p + l
p + d
p * 0.1
p - 0.01
q + 1
q * 2
p / 3
p / 2.5
> p / 7L
p / 0.03
10 / 3
7 / 2
-7 / 2
7L / 2
1 / 3.0
1.0 / 3
2.50 / 1.5
d / 2
f / 2
n / 2
l / 3
p / 2D
try_divide(n, 0)
try_divide(d, 0)
try_divide(n, 2)
! 1 / 0
! 1.0 / 0
! 1D / 0
! n / 0
! 5 % 0
! 5 div 0
! p / 0
7 div 2
-7 div 2
7L div 2
n div 3
l div 7
7 % 3
-7 % 3
7 % -3
7.5 % 2
-7.5 % 2
7.5D % 2
d % 3
p % 3
p % 0.7
mod(n, 7)
mod(-7, 3)
pmod(-7, 3)
pmod(7, -3)
pmod(n, 7)
pmod(-7L, 3)
! pmod(1, 0)
try_mod(n, 7)
try_mod(7, 0)
! 2147483647 + 1
! -2147483648 - 1
! 9223372036854775807 + 1
! 127Y + 1Y
! 32767S * 2S
! 2147483647 * 2
! -(-2147483648)
! abs(-2147483648)
! abs(n)
! n + n
! l * 2
2147483648 + 1
2147483647L + 1
1Y + 1Y
1S + 1Y
-128Y
-32768S
-2147483648
-9223372036854775808
9223372036854775807
9223372036854775808
99999999999999999999
1e3
1.50
0.001
.5
100.
1.5D
1.5F
2BD
1.50BD
> 1e400
typeof(1)
typeof(1L)
typeof(1.50)
typeof(1.5D)
typeof(1e3)
typeof('a')
typeof(NULL)
typeof(p * q)
typeof(p + 1)
typeof(p / 3)
typeof(q + p)
typeof(coalesce(p, 0))
typeof(array(1, 2L))
typeof(named_struct('a', 1, 'b', 'x'))
typeof(map('a', 1.5))
typeof(at)
typeof(sum(n) OVER ())
typeof(avg(p) OVER ())
abs(-5)
abs(p)
abs(d)
abs(-2.5)
abs(f)
sign(-5)
sign(p)
sign(d)
signum(-2.5)
signum(0)
ceil(2.1D)
ceil(-2.1D)
ceil(p)
ceil(n)
ceil(2)
ceiling(2.5)
floor(2.9D)
floor(-2.1D)
floor(p)
floor(l)
floor(-0.5D)
ceil(-0.5D)
> ceil(f / 0.5)
round(2.5)
round(-2.5)
round(2.5D)
round(3.5D)
round(-2.5D)
round(2.675D, 2)
round(1.005D, 2)
round(0.285D, 2)
round(d, 2)
round(d, 0)
round(d)
round(d, 5)
round(p, 1)
round(p)
round(q, 2)
round(2.555, 2)
round(-2.555, 2)
round(n)
round(n, 2)
> round(12345, -2)
round(1e-7D, 3)
round(123456789.987654321D, 4)
round(0.1D + 0.2D, 15)
round(p, 2)
sqrt(16)
sqrt(2)
sqrt(-1)
sqrt(d)
sqrt(p)
sqrt(0)
power(2, 10)
pow(2, 0.5)
power(d, 2)
pow(0, 0)
pow(-8, 2)
ln(10)
ln(0)
ln(-1)
ln(d)
log10(1000)
log10(0)
log2(8)
log2(n)
degrees(3.141592653589793)
radians(180)
degrees(d)
radians(n)
pi()
isnan(d)
isnan(f)
> isnan(CAST('NaN' AS DOUBLE))
nanvl(d, 0D)
nanvl(d, -1)
bin(13)
bin(-1)
bin(l)
hex(255)
hex(-1)
hex(l)
hex('abc')
hex(bin)
unhex('6162')
unhex('')
bit_count(7)
bit_count(-1)
bit_count(l)
5 & 3
5 | 3
5 ^ 3
~5
~n
n & 255
l | 1
ti ^ 1Y
(1 | 2) & 3
> 1 | 2 & 3
shiftleft(1, 4)
shiftleft(3, 2)
> shiftleft(n, 1)
greatest(1, 2L, 3)
greatest(n, 5)
greatest(d, 0D)
greatest(NULL, 1)
greatest(p, 1.5)
greatest('a', 'b')
least(d, 0D)
least(n, 5L)
least(NULL, NULL, 2)
least(day, DATE'2000-01-01')
greatest(at, TIMESTAMP'2000-01-01 00:00:00')
least(s, 'b')
1 = 1.0
0.0D = -0.0D
d = d
d > 1e10
d >= f
f = d
n = l
n > p
p = q
p = d
p > 1
ti < si
> CAST('NaN' AS DOUBLE) = CAST('NaN' AS DOUBLE)
> CAST('NaN' AS DOUBLE) > 1e308
> d < CAST('Infinity' AS DOUBLE)
n IN (1, 2, 3)
n IN (1, NULL)
n NOT IN (1, NULL)
n IN (1L, 2.5)
p IN (1, 12.35)
d IN (1.0, -0.0)
n BETWEEN 0 AND 100
n NOT BETWEEN 0 AND 100
p BETWEEN 0 AND 100.5
n BETWEEN 100 AND 0
n <=> NULL
n <=> 1
NULL <=> NULL
n IS DISTINCT FROM 1
n IS NOT DISTINCT FROM NULL
> n = '1'
> n + '1'
+n
! - - n
1 - -1
n * 1.0
CAST(n AS BIGINT) * n
1.10 + 2.2
1.1 * 1.1
0.1 + 0.2
0.1D + 0.2D
1e308 * 10
-1e308 * 10
10.50 - 10.5
100 * 0.01
99999999.99 + 0.01
CAST(1 AS DECIMAL(38, 0)) + 1
> CAST(1 AS DECIMAL(38, 10)) * 2
CAST(1 AS DECIMAL(20, 10)) / 3
CAST(100 AS DECIMAL(5, 2)) / CAST(3 AS DECIMAL(5, 2))
CAST(-1 AS DECIMAL(5, 2)) / 3
CAST(0.05 AS DECIMAL(5, 2)) / CAST(10 AS DECIMAL(3, 0))
CAST(2 AS DECIMAL(5, 2)) / CAST(3 AS DECIMAL(3, 1))
> 1.5 div 0.5
n <= l
