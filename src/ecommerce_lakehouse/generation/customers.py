"""The customers, when they joined, and which of them order or visit: shared by all datasets.

A customer's number is a line of the profiles: of the first batch, or of a later batch's new customers.
Orders and sessions come only from customers whose profile has no issue, and only after the day they joined.
"""

from __future__ import annotations

import hashlib
import math

from ecommerce_lakehouse.generation.columns import Columns, hashed, padded, uniform, zipf_rank
from ecommerce_lakehouse.generation.issues import IssueSpread
from ecommerce_lakehouse.generation.plan import BatchPlan
from ecommerce_lakehouse.generation.seasonality import DAY_SECONDS

FOUNDING_DAYS = 730  # three in five of the first batch's customers joined in the two years before it
SHIFT_SHARE = 20  # Zipf-Mandelbrot law: the keenest customer orders about 20 times as often as the last
LEAVERS = 4  # one customer in four stops for good on some day of the first batch


def customer_id(number: str) -> str:
    """SQL: the id of a customer's number."""
    return f"concat('C', {padded(f'({number} + 1)', 6)})"


def joined_seconds(plan: BatchPlan, number: str) -> str:
    """SQL: seconds from the first day to a customer's signup; negative for one who joined before."""
    customers, days = plan.parameters.customers, plan.parameters.days
    before = FOUNDING_DAYS * DAY_SECONDS
    founding = f"({number} * {5 * before}L div {3 * customers}L) - {before}L"
    during = f"((5 * {number} - {3 * customers}L) * {days * DAY_SECONDS}L div {2 * customers}L)"
    later = f"({days}L + ({number} - {customers}L) div {plan.new_customers_daily}L) * {DAY_SECONDS}L"
    return (
        f"CASE WHEN 5 * {number} < {3 * customers}L THEN {founding} "
        f"WHEN {number} < {customers}L THEN {during} ELSE {later} END"
    )


def valid_customers(plan: BatchPlan) -> int:
    """How many customers of the first batch have a valid profile, or all of them if none has."""
    return _first_profiles(plan).clean or plan.parameters.customers


def valid_customer(plan: BatchPlan, ordinal: str) -> str:
    """SQL: the number of the n-th customer of the first batch whose profile is valid, n from 0."""
    return _first_profiles(plan).clean_line(ordinal)


def updated_customer(plan: BatchPlan, ordinal: str) -> str:
    """SQL: the customer's number of a batch's n-th update; all differ and have a valid profile."""
    return updated_line(plan, _first_profiles(plan), plan.updates_daily, ordinal, f"updates {plan.batch}")


def updated_line(plan: BatchPlan, first: IssueSpread, updates: int, ordinal: str, purpose: str) -> str:
    """SQL: the line of the first batch that is updated as the n-th of `updates`; all differ and are clean."""
    digest = hashlib.sha256(f"{plan.parameters.seed} {purpose}".encode()).digest()
    start = int.from_bytes(digest[:6], "big") % max(1, first.clean)
    stride = max(1, first.clean // max(1, updates))
    return first.clean_line(f"({start}L + {ordinal} * {stride}L) % {max(1, first.clean)}L")


def add_active_customer(columns: Columns, plan: BatchPlan, key: str) -> None:
    """Add `_customer` BIGINT, the customer's number of the event `key` on `_day`.

    Few customers come often and many rarely, by a Zipf-Mandelbrot law that orders and sessions share.
    """
    seed, customers, days = plan.parameters.seed, plan.parameters.customers, plan.parameters.days
    spread = _first_profiles(plan)
    pool = valid_customers(plan)
    shift, step = max(1, pool // SHIFT_SHARE), _coprime_near_golden(pool)
    keenness = zipf_rank(uniform(seed, key, "customer"), pool, shift)
    columns.add("_favourite", "bigint", f"({keenness} * {step}L + {seed % pool}L) % {pool}L")
    # Customers of the pool who joined before the day: the clean ones of the lines below the bound.
    bound = f"((2 * _day + {3 * days}L) * {customers}L + {5 * days - 1}L) div {5 * days}L"
    columns.add(
        "_joined", "bigint", f"least((({bound}) * {pool}L + {customers - 1}L) div {customers}L, {pool}L)"
    )
    columns.add("_candidate", "bigint", "IF(_favourite < _joined, _favourite, _favourite % _joined)")
    gone = f"_candidate % {LEAVERS} = 0 AND _day > pmod({hashed(seed, '_candidate', 'leaves')}, {days}L)"
    known = spread.clean_line(f"IF({gone}, (_candidate + 1) % _joined, _candidate)")
    columns.add("_customer", "bigint", _or_later_joiner(plan, key, known, pool))


def _or_later_joiner(plan: BatchPlan, key: str, known: str, pool: int) -> str:
    """SQL: `known`, or, by their share of all customers, one who joined after the first batch."""
    spread = BatchPlan(plan.parameters, 1).customer_profiles.spread
    daily, clean_daily = plan.new_customers_daily, spread.clean_before(plan.new_customers_daily)
    joiners = (plan.batch - 1) * clean_daily
    if joiners <= 0:
        return known
    seed = plan.parameters.seed
    pick = f"cast(floor({uniform(seed, key, 'joiner')} * {joiners}) AS BIGINT)"
    line = spread.clean_line(f"{pick} % {clean_daily}L")
    number = f"{plan.parameters.customers}L + {pick} div {clean_daily}L * {daily}L + {line}"
    share = joiners / (pool + joiners)
    return f"IF({uniform(seed, key, 'is_joiner')} < {share!r}D, {number}, {known})"


def _first_profiles(plan: BatchPlan) -> IssueSpread:
    return BatchPlan(plan.parameters, 0).customer_profiles.spread


def _coprime_near_golden(count: int) -> int:
    """A step that visits every number below `count` once and keeps neighbours far apart."""
    step = max(1, round(count * 0.618))
    while math.gcd(step, count) != 1:
        step += 1
    return step
