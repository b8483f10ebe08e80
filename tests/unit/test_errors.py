"""Every error of the shop derives from its root, which the command line knows by its attributes.

The client of Customer.io, which stands alone, has a root of its own with the same attributes.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pkgutil import walk_packages

import pytest
from typer.testing import CliRunner

import ecommerce_lakehouse
from ecommerce_lakehouse.activation.customerio.errors import AuthenticationError, CustomerIOError
from ecommerce_lakehouse.activation.errors import NoKeyError, StillDueError
from ecommerce_lakehouse.activation.managers.jobs import JobError
from ecommerce_lakehouse.activation.notebooks import RejectedRowsError
from ecommerce_lakehouse.activation.sync.declarations import SyncError
from ecommerce_lakehouse.activation.sync.plan import DeleteGuardError, PlanError
from ecommerce_lakehouse.cli.main import command_line
from ecommerce_lakehouse.config import ConfigError, LakehouseConfig
from ecommerce_lakehouse.config.erased import PrivacySecretError
from ecommerce_lakehouse.errors import ShopError, first_line
from ecommerce_lakehouse.generation import GenerationError
from ecommerce_lakehouse.observability.health_checks import HealthError
from ecommerce_lakehouse.observability.lakehouse import BusyError, SecretError
from ecommerce_lakehouse.observability.metrics_export.failures import ExportError
from ecommerce_lakehouse.observability.pipeline_checks import PipelineCheckError
from ecommerce_lakehouse.observability.public_http import AddressRefusedError
from ecommerce_lakehouse.privacy.erasure import PrivacyError
from ecommerce_lakehouse.privacy.forgetting import NotSentError
from ecommerce_lakehouse.privacy.proof import ProofError
from ecommerce_lakehouse.quality import rules
from ecommerce_lakehouse.quality.replay import ReplayError, ReplayFailedError
from ecommerce_lakehouse.quality.rule import Rule, RuleError, RuleSet
from lakerun.errors import is_for_users

EXIT_CODES = {
    ShopError: 1,
    ConfigError: 2,
    GenerationError: 2,
    RuleError: 1,
    ReplayError: 2,
    ReplayFailedError: 1,
    HealthError: 1,
    SecretError: 1,
    PipelineCheckError: 1,
    ExportError: 1,
    AddressRefusedError: 1,
    BusyError: 3,
    DeleteGuardError: 1,
    JobError: 1,
    NoKeyError: 2,
    NotSentError: 1,
    PlanError: 1,
    PrivacyError: 2,
    PrivacySecretError: 2,
    ProofError: 2,
    RejectedRowsError: 1,
    StillDueError: 1,
    SyncError: 2,
}


def exception_classes() -> Iterator[type[BaseException]]:
    """Every class of exception that a module of the shop defines."""
    for module in walk_packages(ecommerce_lakehouse.__path__, "ecommerce_lakehouse."):
        if not module.name.endswith("__main__"):
            for _, item in inspect.getmembers(import_module(module.name), inspect.isclass):
                if issubclass(item, BaseException) and item.__module__ == module.name:
                    yield item


def test_every_exception_has_the_root_and_a_known_exit_code() -> None:
    found = set(exception_classes())
    assert [item for item in found if not issubclass(item, ShopError | CustomerIOError)] == []
    assert {item: item.exit_code for item in found if issubclass(item, ShopError)} == EXIT_CODES
    usage = {item.__name__ for item in found if issubclass(item, CustomerIOError) and item.exit_code == 2}
    assert usage == {"ConfigurationError"}


def test_the_command_line_knows_an_error_of_the_client_by_its_attributes() -> None:
    error = AuthenticationError(401, "cdp.customer.io")
    assert is_for_users(error)
    assert (error.code, error.exit_code, error.hint, error.location) == (
        "CUSTOMERIO_KEY_REFUSED",
        1,
        None,
        None,
    )


def test_an_error_has_the_attributes_that_a_command_line_reads() -> None:
    error = RuleError("it is wrong", "look there", location="rules.py:7")
    assert str(error) == "rules.py:7: it is wrong"
    assert (error.message, error.code, error.exit_code) == ("it is wrong", "INVALID_RULE", 1)
    assert (error.hint, error.location) == ("look there", "rules.py:7")
    assert str(HealthError("nothing there")) == "nothing there"
    assert HealthError("nothing there").location is None


def test_the_command_line_shows_an_error_of_the_shop_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, home: object
) -> None:
    late = Rule("late", "at < now()", "warn", "A reason of some length", owner="us", location="shop.py:3")

    def registry(config: LakehouseConfig) -> dict[str, RuleSet]:
        return {"silver_shop": RuleSet((late, late))}

    monkeypatch.setattr(rules, "_registry", registry)
    result = CliRunner().invoke(command_line(), ["quality", "list", "silver_shop"])
    assert result.exit_code == 1
    problem = "dataset 'silver_shop', rule 'late': 'now()' depends on more than the row"
    assert result.stderr.startswith(f"Error: shop.py:3: {problem}")
    assert result.stderr.count("shop.py:3: ") == 3
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "line"),
    [("\n  no table \n line 3", "no table"), ("", "ValueError"), (" \n", "ValueError"), ("x" * 9, "xxxx")],
)
def test_the_first_line_of_an_error_is_never_empty(text: str, line: str) -> None:
    assert first_line(ValueError(text), at_most=4 if text.startswith("x") else 1000) == line
