"""How much a batch holds: lines, first numbers and days, all arithmetic on the parameters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ecommerce_lakehouse.generation.issues import IssueSpread
from ecommerce_lakehouse.generation.manifest import Parameters

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)  # a Monday, which the seasonality relies on
LINES_PER_FILE = 50_000
CUSTOMERS_PER_UPDATE = 100  # each day one in a hundred of the first batch's customers changes
REVISED_EVERY = 50  # one clean order in fifty is revised on the day after
JOINING_PERIODS = 10  # after this many times `days`, as many new customers have joined


@dataclass(frozen=True)
class DatasetPlan:
    """The lines of one dataset in one batch; their records are numbered from `first_number` by line."""

    spread: IssueSpread
    first_number: int

    @property
    def lines(self) -> int:
        return self.spread.lines

    @property
    def partitions(self) -> int:
        """Files, fixed by the lines only: the same on any number of cores."""
        return -(-self.lines // LINES_PER_FILE)


@dataclass(frozen=True)
class BatchPlan:
    """Batch 0 covers the first `days` days; batch n the one day after those of batch n - 1."""

    parameters: Parameters
    batch: int

    @property
    def first_day(self) -> int:
        """Days from FIRST_DAY to the batch's first day."""
        return 0 if self.batch == 0 else self.parameters.days + self.batch - 1

    @property
    def end_day(self) -> int:
        """The day after the batch's last day."""
        return self.parameters.days + self.batch

    @property
    def starts_at(self) -> datetime:
        return FIRST_DAY + timedelta(days=self.first_day)

    @property
    def ends_at(self) -> datetime:
        return FIRST_DAY + timedelta(days=self.end_day)

    @property
    def orders(self) -> DatasetPlan:
        return self._events(self.parameters.orders)

    @property
    def revised(self) -> BatchPlan:
        """The batch whose orders this one revises: the one before, and of the first batch itself."""
        return BatchPlan(self.parameters, max(self.batch - 1, 0))

    @property
    def revised_days(self) -> tuple[int, int]:
        """First and last of the days on which the orders were placed that this batch revises."""
        last = self.end_day - 2
        return (0 if self.batch == 0 else last, last)

    @property
    def customer_activity(self) -> DatasetPlan:
        return self._events(self.parameters.customer_activity)

    @property
    def customer_profiles(self) -> DatasetPlan:
        """In a later batch the first `new_customers_daily` lines are new customers, the others updates."""
        first, daily = self.parameters.customers, self.new_customers_daily
        lines = (first, daily + self.updates_daily)
        return self.dataset(lines, first + (self.batch - 1) * daily if self.batch else 0)

    @property
    def new_customers_daily(self) -> int:
        return -(-self.parameters.customers // (JOINING_PERIODS * self.parameters.days))

    @property
    def updates_daily(self) -> int:
        """Updates a later batch; only customers with a clean first profile are updated."""
        clean = self._bad_and_clean(self.parameters.customers)[1]
        return min(clean, -(-self.parameters.customers // CUSTOMERS_PER_UPDATE))

    def dataset(self, lines: tuple[int, int], first_number: int = 0) -> DatasetPlan:
        """A dataset with these lines in the first and in every later batch."""
        first_bad, later_bad = (self._bad_and_clean(count)[0] for count in lines)
        if self.batch == 0:
            return DatasetPlan(IssueSpread(lines[0], first_bad), first_number)
        rotation = first_bad + (self.batch - 1) * later_bad
        return DatasetPlan(IssueSpread(lines[1], later_bad, rotation), first_number)

    def _events(self, lines: int) -> DatasetPlan:
        daily = -(-lines // self.parameters.days)
        return self.dataset((lines, daily), lines + (self.batch - 1) * daily if self.batch else 0)

    def _bad_and_clean(self, lines: int) -> tuple[int, int]:
        bad = round(lines * self.parameters.issue_rate)
        return bad, lines - bad
