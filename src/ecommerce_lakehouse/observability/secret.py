"""A secret of the environment or of a secret scope: `secret_of`."""

from __future__ import annotations

import os
import sys

from pydantic import SecretStr

from ecommerce_lakehouse.config import LakehouseConfig


class SecretError(Exception):
    """A secret cannot be read; the message names it in one line, and never holds it."""


def secret_of(config: LakehouseConfig, variable: str, key: str | None) -> SecretStr | None:
    """The value of the environment variable, else of `key` in the settings' secret scope.

    None where there is neither: without a key, or on a laptop, where only a task of a job has secrets. Raises
    SecretError on Databricks where the secret cannot be read.
    """
    if given := os.environ.get(variable):
        return SecretStr(given)
    # Databricks' own module; on a laptop only a task of a job has one.
    if key is None or (not config.on_databricks and "pyspark.dbutils" not in sys.modules):
        return None
    scope = config.secret_scope
    try:
        from pyspark.dbutils import DBUtils  # type: ignore[import-not-found]
        from pyspark.sql import SparkSession

        return SecretStr(DBUtils(SparkSession.getActiveSession()).secrets.get(scope, key))
    except Exception as error:
        if not config.on_databricks:
            return None
        kind = type(error).__name__
        raise SecretError(f"secret '{key}' of scope '{scope}' cannot be read ({kind})") from None
