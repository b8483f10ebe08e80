"""Plans and runs the syncs of an environment, one after the other: `Activation`."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecommerce_lakehouse.activation.sync.declarations import AnySync, load_syncs, sync_named
from ecommerce_lakehouse.config import LakehouseConfig
from ecommerce_lakehouse.errors import USAGE, ShopError
from ecommerce_lakehouse.observability.lakehouse import Lakehouse, secret_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ecommerce_lakehouse.activation.sync.plan import PlanFile, SyncPlan
    from ecommerce_lakehouse.activation.sync.run import Result

LOCK = "activation"


class NoKeyError(ShopError):
    """There is no key to send with."""

    code = "NO_KEY"
    exit_code = USAGE


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
        from ecommerce_lakehouse.config.erased import erased_people

        self._spark, self._lakehouse, self._config = spark, lakehouse, config
        self._tables = SyncTables(spark, lakehouse, erased_people(config))
        self.syncs = chosen(syncs)

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

        Raises:
            NoKeyError: There is no key.
            CustomerIOError: The key is not taken, or not of the region.
            PlanError: Tables changed since the saved plan was made.
            DeleteGuardError: More rows are gone than may be deleted.
        """
        from ecommerce_lakehouse.activation.sync.run import run_sync

        plans = {plan.sync: plan for plan in saved.syncs} if saved else {}
        with self._lakehouse.exclusive(LOCK):
            settings = self._settings()
            for sync in self.syncs:
                if saved and sync.name not in plans:
                    continue
                yield run_sync(
                    self._spark,
                    self._tables,
                    sync,
                    lambda observe: self._client(settings, observe),
                    saved=plans.get(sync.name),
                    replay=replay,
                    allow_deletes=allow_deletes,
                    progress=partial(progress, sync.name),
                )

    def _settings(self) -> Any:
        from ecommerce_lakehouse.activation.customerio.settings import Settings

        config = self._config
        key = secret_of(self._lakehouse, "CUSTOMERIO_KEY", config.customerio_key)
        if key is None:
            raise NoKeyError("There is no key of Customer.io: set CUSTOMERIO_KEY.")
        return Settings.of(
            key,
            config.customerio_region,
            base_url=config.customerio_base_url,
            concurrency=config.customerio_concurrency,
        )

    @contextmanager
    def _client(self, settings: Any, observe: Callable[[Any], None]) -> Iterator[Any]:
        from ecommerce_lakehouse.activation.customerio.client import Client
        from ecommerce_lakehouse.activation.customerio.rates import RequestRate

        path = _rate_file(self._config, settings.key.get_secret_value())
        rate = RequestRate(settings.limits, lease=2 * settings.timeout, path=path)
        try:
            with Client(settings, rate=rate, observe=observe) as client:
                yield client
        finally:
            rate.close()


def chosen(names: Sequence[str]) -> list[AnySync]:
    """The syncs with these names, in the order in which they run; by default all."""
    if not names:
        return list(load_syncs().values())
    wanted = {sync_named(name).name for name in names}
    return [sync for sync in load_syncs().values() if sync.name in wanted]


def _rate_file(config: LakehouseConfig, key: str) -> Path:
    """Shared by all processes of this machine that send with the key; its name does not tell the key."""
    folder = Path(config.tables_root).parent if config.tables_root else Path(tempfile.gettempdir())
    return folder / f"requests-{hashlib.sha256(key.encode()).hexdigest()[:12]}.rate"
