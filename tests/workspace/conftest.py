"""The browser of the runtime's tests."""

from workspace.browser import browser

__all__ = ["browser"]
