"""Adds batches of what activation needs to know of the sample data's customers: `generate_activation_data`.

Consents, devices that take push messages, households and their members. Every customer with something here
has a valid profile in the first batch of the sample data. A later batch is about keys of the first one; of
each it has three records:

- what has changed today;
- the same again from another system, made at the same time, which writes times in another way;
- an older one, from before the key's first record, which arrives late.

Of every second key these arrive in the opposite order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from pyspark.sql import DataFrame, SparkSession

from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.domain.entities import ACTIVATED, CONSENT_CHANNELS, HOUSEHOLD_KINDS, PLATFORMS
from ecommerce_lakehouse.generation.batches import Progress, Source, add_batches
from ecommerce_lakehouse.generation.columns import Columns, event_time, hashed, lookup, padded
from ecommerce_lakehouse.generation.customers import (
    FOUNDING_DAYS,
    customer_id,
    joined_seconds,
    updated_line,
    valid_customer,
    valid_customers,
)
from ecommerce_lakehouse.generation.lines import BYTE, FAR_FUTURE, add_issue, add_line, faulty, quoted
from ecommerce_lakehouse.generation.manifest import Manifest
from ecommerce_lakehouse.generation.plan import CUSTOMERS_PER_UPDATE, BatchPlan, DatasetPlan
from ecommerce_lakehouse.generation.records import COUNTRY_WEIGHTS
from ecommerce_lakehouse.generation.seasonality import DAY_SECONDS

NOTHING = "nothing"  # is written as null
STATUS_WEIGHTS = {"granted": 55, "withdrawn": 20, "unknown": 15, NOTHING: 10}
ORIGIN_WEIGHTS = {"website": 60, "app": 30, "shop": 10}
PLATFORM_WEIGHTS = dict(zip(PLATFORMS, (45, 55), strict=True))
KIND_WEIGHTS = dict(zip(HOUSEHOLD_KINDS, (40, 45, 15), strict=True))
ROLE_WEIGHTS = {"adult": 60, "child": 40}
NAMES = (
    "Alder", "Aspen", "Birch", "Cedar", "Elm", "Fern", "Hazel", "Holly", "Juniper", "Laurel", "Linden",
    "Maple", "Olive", "Rowan", "Sorrel", "Willow",
)  # fmt: skip
# Households have one to four members in turn; of ten members these are the household and whether they own it.
HOUSEHOLD_OF = (0, 1, 1, 2, 2, 2, 3, 3, 3, 3)
OWNERS = (0, 1, 3, 6)
CHANGED, REPEATED, LATE = range(3)


def generate_activation_data(
    spark: SparkSession,
    config: LakehouseConfig,
    *,
    seed: int | None = None,
    customers: int | None = None,
    issue_rate: float | None = None,
    batches: int = 1,
    on_progress: Progress | None = None,
    now: datetime | None = None,
) -> list[Manifest]:
    """Add `batches` batches of activation data to the volume of `config` and return their manifests.

    Its parameters are those of the volume's sample data, so that both are about the same customers: what is
    given must be equal to them. Without sample data, `customers` are the customers that the sample data of
    such a volume has. Their manifests are in the folder `activation` of the manifests. The rest is as in
    `generate_sample_data`: the first batch covers the same days, each later one adds a day, the same
    parameters give the same bytes, a batch exists whole or not at all, and GenerationError is raised for the
    same reasons.
    """
    given = {"seed": seed, "customers": customers, "issue_rate": issue_rate}
    return add_batches(ACTIVATION, spark, config, given, batches, on_progress, now)


def lines_of(spark: SparkSession, config: LakehouseConfig, plan: BatchPlan, entity: str) -> DataFrame:
    """The lines of one entity in a batch; out: as in `records.lines_of`."""
    dataset, seed = dataset_plan(plan, entity), plan.parameters.seed
    if not dataset.lines:  # a later batch, if no line of the first one was clean
        return spark.createDataFrame([], "value string, _issue string, _update boolean")
    columns = Columns(spark, entity, dataset.lines, dataset.partitions, seed)
    add_issue(columns, dataset.spread)
    columns.add("_update", "boolean", str(plan.batch > 0), output=True)
    _add_number(columns, plan, entity, dataset.lines // 3)
    fields, unexpected = _BUILDERS[entity](columns, plan)
    _add_time(columns, plan, dataset.lines // 3)
    too_early = f"'{config.earliest_event - timedelta(days=1)}T00:00:00Z'"
    written = faulty("_when", bad_format="'yesterday'", out_of_range=too_early, future_date=FAR_FUTURE)
    fields["updated_at"] = quoted(written)
    add_line(columns, fields, unexpected, seed)
    return columns.build()


def dataset_plan(plan: BatchPlan, entity: str) -> DatasetPlan:
    """The part of a batch's plan that concerns one entity."""
    first = _first_lines(plan)[entity]
    clean = BatchPlan(plan.parameters, 0).dataset((first, 0)).spread.clean
    return plan.dataset((first, 3 * min(clean, -(-first // CUSTOMERS_PER_UPDATE))))


def _first_lines(plan: BatchPlan) -> dict[str, int]:
    """Lines of the first batch, by entity, from the number of customers with a valid profile."""
    customers = valid_customers(plan)
    members = max(1, 2 * customers // 3)
    return {
        # A tenth has not been asked; the others about each channel.
        "marketing_consents": len(CONSENT_CHANNELS) * (customers - customers // 10),
        "push_devices": max(1, 3 * customers // 4),
        "households": 4 * ((members - 1) // 10) + HOUSEHOLD_OF[(members - 1) % 10] + 1,
        "household_members": members,
    }


def _add_number(columns: Columns, plan: BatchPlan, entity: str, updates: int) -> None:
    """Add `_number` BIGINT, a key's line in the first batch, and `_part` INT, which of its records this is.

    `_version` BIGINT is the number of what can change: all draws of it differ from those of other versions.
    """
    if plan.batch == 0:
        columns.add("_number", "bigint", "_source")
        columns.add("_part", "int", "-1")
        columns.add("_version", "bigint", "_number")
        return
    first = dataset_plan(BatchPlan(plan.parameters, 0), entity).spread
    columns.add("_turn", "bigint", "_source div 3")
    columns.add("_part", "int", f"IF(_turn % 2 = 0, _source % 3, {LATE} - _source % 3)")
    purpose = f"{entity} {plan.batch}"
    columns.add("_number", "bigint", updated_line(plan, first, updates, "_turn", purpose))
    columns.add(
        "_version", "bigint", f"IF(_part = {LATE}, -1 - _number, _number + {plan.batch}L * 1000000000L)"
    )


def _add_time(columns: Columns, plan: BatchPlan, updates: int) -> None:
    """Add `_when` STRING, when a record was made; `_since` BIGINT has the seconds of the earliest moment."""
    ends, today = plan.parameters.days * DAY_SECONDS, plan.first_day * DAY_SECONDS
    if plan.batch == 0:
        columns.add("_updated", "bigint", f"_since + ({ends}L - _since) div 4")
    else:
        moment = f"{today}L + _turn * {DAY_SECONDS}L div {updates}L"
        columns.add("_updated", "bigint", f"IF(_part = {LATE}, _since, {moment})")
    moment = event_time("_updated")
    columns.add("_when", "string", f"IF(_part = {REPEATED}, left({moment}, 19), {moment})")


def _consents(columns: Columns, plan: BatchPlan) -> tuple[dict[str, str], str]:
    channels = len(CONSENT_CHANNELS)
    _add_customer(columns, plan, f"(_number div {channels})")
    columns.add("_channel", "string", lookup(CONSENT_CHANNELS, f"_number % {channels}"))
    columns.add_choice("_status", STATUS_WEIGHTS, "_version")
    columns.add_choice("_origin", ORIGIN_WEIGHTS, "_version")
    consent = f"concat({customer_id('_customer')}, '-', _channel)"
    return {
        "consent_id": faulty(quoted(consent), null_key="'null'"),
        "customer_id": quoted(customer_id("_customer")),
        "channel": quoted(faulty("_channel", unknown_status="'pigeon'")),
        "status": f"IF(_status = '{NOTHING}', 'null', {quoted('_status')})",
        "source": quoted(faulty("_origin", non_utf8=f"concat('caf', {BYTE})")),
    }, '"campaign":"spring"'


def _devices(columns: Columns, plan: BatchPlan) -> tuple[dict[str, str], str]:
    seed = plan.parameters.seed
    # Of four customers one has two devices and one has one.
    _add_customer(columns, plan, "(_number div 3 * 4 + _number % 3 div 2)")
    words = [f"lpad(hex({hashed(seed, '_number', f'token {word}')}), 16, '0')" for word in range(4)]
    columns.add("_token", "string", f"lower(concat({', '.join(words)}))")
    columns.add_choice("_platform", PLATFORM_WEIGHTS, "_number")
    minor, patch, ago = (f"pmod({hashed(seed, '_version', name)}, " for name in ("minor", "patch", "used"))
    columns.add("_app", "string", f"concat('4.', {minor} 20L), '.', {patch} 5L))")
    columns.add("_ago", "bigint", f"{ago} {DAY_SECONDS}L)")
    return {
        "token": faulty(quoted("_token"), null_key="'null'"),
        "customer_id": quoted(customer_id("_customer")),
        "platform": quoted(faulty("_platform", unknown_status="'pager'")),
        "app_version": quoted(faulty("_app", non_utf8=f"concat(_app, {BYTE})")),
        "last_used_at": quoted(event_time("_updated - _ago")),
    }, '"locale":"de-DE"'


def _households(columns: Columns, plan: BatchPlan) -> tuple[dict[str, str], str]:
    seed = plan.parameters.seed
    before = FOUNDING_DAYS * DAY_SECONDS
    columns.add("_since", "bigint", f"-1 - pmod({hashed(seed, '_number', 'since')}, {before}L)")
    columns.add("_name", "string", lookup(NAMES, f"pmod({hashed(seed, '_number', 'name')}, {len(NAMES)}L)"))
    columns.add_choice("_kind", KIND_WEIGHTS, "_number")
    columns.add_choice("_country", COUNTRY_WEIGHTS, "_version")
    name = "concat(_name, ' household')"
    return {
        "household_id": faulty(quoted(_household_id("_number")), null_key="'null'"),
        "name": quoted(faulty(name, non_utf8=f"concat('Caf', {BYTE}, ' household')")),
        "kind": quoted(faulty("_kind", unknown_status="'castle'")),
        "country": quoted("_country"),
    }, '"pets":2'


def _members(columns: Columns, plan: BatchPlan) -> tuple[dict[str, str], str]:
    """Of those who change a quarter leaves its household, and the others move to another one."""
    seed, households = plan.parameters.seed, dataset_plan(BatchPlan(plan.parameters, 0), "households").spread
    _add_customer(columns, plan, "_number")
    known = households.clean or households.lines
    first = f"(_number div 10 * 4 + {lookup(HOUSEHOLD_OF, '_number % 10')}) % {known}L"
    moved = hashed(seed, "_version", "household")
    home = f"IF(_part < 0, {first}, pmod({moved}, {known}L))"
    columns.add("_household", "bigint", households.clean_line(home))
    columns.add("_leaves", "boolean", f"_part IN ({CHANGED}, {REPEATED}) AND pmod({moved}, 4L) = 0")
    columns.add_choice("_later_role", ROLE_WEIGHTS, "_version")
    owns = f"_part < 0 AND _number % 10 IN {OWNERS}"
    columns.add("_role", "string", f"IF({owns}, 'owner', _later_role)")
    home_id = f"IF(_leaves, 'null', {quoted(_household_id('_household'))})"
    return {
        "customer_id": faulty(quoted(customer_id("_customer")), null_key="'null'"),
        "household_id": faulty(home_id, non_utf8=quoted(f"concat('H', {BYTE})")),
        "role": quoted(faulty("_role", unknown_status="'goldfish'")),
    }, '"nickname":"kiddo"'


def _add_customer(columns: Columns, plan: BatchPlan, ordinal: str) -> None:
    columns.add("_customer", "bigint", valid_customer(plan, ordinal))
    columns.add("_since", "bigint", joined_seconds(plan, "_customer"))


def _household_id(number: str) -> str:
    return f"concat('H', {padded(f'({number} + 1)', 6)})"


_BUILDERS: Mapping[str, Callable[[Columns, BatchPlan], tuple[dict[str, str], str]]] = {
    "marketing_consents": _consents,
    "push_devices": _devices,
    "households": _households,
    "household_members": _members,
}
ACTIVATION = Source(datasets={name: name for name in ACTIVATED}, lines_of=lines_of, part="activation")
