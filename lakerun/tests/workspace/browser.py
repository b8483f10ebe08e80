"""A real Chromium, for tests of pages."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser on this machine; without one the test is skipped."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = os.environ.get("LAKEHOUSE_TEST_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not program:
        pytest.skip("no Chromium on PATH, and LAKEHOUSE_TEST_CHROMIUM does not name one")
    switches = ("sandbox", "first-run")
    disabled = ("gpu", "quic", "background-networking", "component-update", "sync")
    options = [*(f"--no-{name}" for name in switches), *(f"--disable-{name}" for name in disabled)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        yield browser
        browser.close()
