"""The runtime is tested without the plugins of the environment that it happens to be installed in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lakerun.plugins import CHOSEN
from lakerun.program import VARIABLE


@pytest.fixture(scope="module", autouse=True)
def without_plugins() -> Iterator[None]:
    """No plugin is loaded, in this process and in those that it starts. A test may bring its own: `guest`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CHOSEN, "")
        patch.delenv(VARIABLE, raising=False)  # messages say `lakerun`, whatever ran in this process before
        yield
