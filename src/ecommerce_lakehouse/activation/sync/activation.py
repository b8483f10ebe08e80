"""Plans and runs the syncs of an environment, one after the other: `Activation`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ecommerce_lakehouse.activation.connection import LOCK, connected, rate_file_of, settings_of
from ecommerce_lakehouse.activation.errors import NoKeyError
from ecommerce_lakehouse.activation.sync.declarations import AnySync, SyncError, load_syncs, named
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.config.erased import erased_people
from ecommerce_lakehouse.errors import ShopError
from ecommerce_lakehouse.observability.lakehouse import Lakehouse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ecommerce_lakehouse.activation.sync.plan import PlanFile, SyncPlan
    from ecommerce_lakehouse.activation.sync.run import Result


class Activation:
    """The syncs of one environment.

    Args:
        spark: The session.
        lakehouse: Where the tables are.
        config: The settings.
        syncs: Names of syncs; by default all.
    """

    def __init__(
        self, spark: SparkSession, lakehouse: Lakehouse, config: LakehouseConfig, syncs: Sequence[str] = ()
    ) -> None:
        from ecommerce_lakehouse.activation.sync.tables import SyncTables

        self._spark, self._lakehouse, self._config = spark, lakehouse, config
        self._tables = SyncTables(spark, lakehouse, erased_people(config))
        self._named = tuple(syncs)
        self.syncs = chosen(syncs)

    def create_tables(self) -> list[str]:
        """Create what dashboards and alerts read, where it is missing; returns the tables' names."""
        return self._tables.create()

    def plan(self, *, replay: bool = False) -> Iterator[SyncPlan]:
        """What each sync would send. Nothing is sent or written."""
        from ecommerce_lakehouse.activation.sync.plan import make_plan

        for sync in self.syncs:
            yield make_plan(self._spark, self._tables, sync, replay=replay).plan

    def run(
        self,
        *,
        saved: PlanFile | None = None,
        replay: bool = False,
        allow_deletes: bool = False,
        progress: Callable[[str, int, int], None] = lambda sync, done, of: None,
    ) -> Iterator[Result]:
        """Plan and send each sync. A second run at the same time raises an error with exit code 3.

        A sync that cannot be sent is a failed run in the run log, and the others are sent before its error is
        raised.

        Raises:
            NoKeyError: The key is missing.
            CustomerIOError: The key is not taken, or not of the region.
            PlanError: Tables changed since the saved plan was made, or it is of other syncs.
            DeleteGuardError: More rows are gone than may be deleted.
            SyncError: A declaration does not fit its table, or the table does not exist.
        """
        from ecommerce_lakehouse.activation.sync.plan import DeleteGuardError, plans_of
        from ecommerce_lakehouse.activation.sync.run import run_sync

        plans = plans_of(saved, self._named, load_syncs()) if saved else {}
        with self._lakehouse.exclusive(LOCK):
            settings = settings_of(self._config, self._lakehouse)
            if settings is None:
                raise NoKeyError("There is no key of Customer.io: set CUSTOMERIO_KEY.")
            connect = partial(connected, settings, rate_file_of(self._config, settings))
            failed: list[ShopError] = []
            for sync in self.syncs:
                if saved and sync.name not in plans:
                    continue
                try:
                    result = run_sync(
                        self._spark,
                        self._tables,
                        sync,
                        connect,
                        saved=plans.get(sync.name),
                        replay=replay,
                        allow_deletes=allow_deletes,
                        progress=partial(progress, sync.name),
                    )
                except (DeleteGuardError, SyncError) as error:
                    failed.append(error)
                else:
                    yield result
            if len(failed) > 1:
                raise ShopError(" ".join(str(error).rstrip(".") + "." for error in failed))
            if failed:
                raise failed[0]


def chosen(names: Sequence[str]) -> list[AnySync]:
    """The syncs with these names, in the order in which they run; by default all."""
    syncs = load_syncs()
    wanted = [named(name, syncs) for name in names]
    return [sync for sync in syncs.values() if sync in wanted or not names]
