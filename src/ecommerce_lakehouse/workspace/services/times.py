"""The API's times: milliseconds since 1970."""

from __future__ import annotations

import time


def now_ms() -> int:
    return int(time.time() * 1000)
