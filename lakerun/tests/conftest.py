"""The runtime is tested without the plugins that are installed in its environment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lakerun.plugins import CHOSEN
from lakerun.program import VARIABLE


@pytest.fixture(scope="module", autouse=True)
def without_plugins() -> Iterator[None]:
    """Load no plugin, in this process and in those that it starts. A test may use its own: `guest`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOSEN, "")
        patch.delenv(VARIABLE, raising=False)  # messages name `lakerun`
        yield
