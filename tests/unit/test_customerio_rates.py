"""Never more than so many requests in any time span, for one client and for several processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from pathlib import Path

import pytest

from ecommerce_lakehouse.activation.customerio.client import Client
from ecommerce_lakehouse.activation.customerio.errors import ConfigurationError
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.rates import RequestRate
from ecommerce_lakehouse.activation.customerio.settings import Settings
from tests.customerio_server import KEY, CustomerIOServer

SPAN, MOST = 0.3, 10
LIMITS = Limits(requests=MOST, seconds=SPAN)


def most_in_a_span(times: list[float]) -> int:
    """The largest number of moments in any span, counted one by one."""
    ordered = sorted(times)
    return max(sum(begin <= moment < begin + SPAN for moment in ordered) for begin in ordered)


async def make(rate: RequestRate, count: int, seconds: float = 0.0) -> list[tuple[float, float]]:
    async def one() -> tuple[float, float]:
        async with rate.turn():
            begun = time.monotonic()
            await asyncio.sleep(seconds)
            return begun, time.monotonic()

    return await asyncio.gather(*(one() for _ in range(count)))


def test_requests_beyond_the_limit_wait() -> None:
    done = asyncio.run(make(RequestRate(LIMITS), 3 * MOST))
    times = [begun for begun, _ in done]
    assert most_in_a_span(times) == MOST
    assert 2 * SPAN <= max(times) - min(times) < 6 * SPAN


def test_a_request_counts_wherever_it_arrives_between_its_begin_and_its_end() -> None:
    done = asyncio.run(make(RequestRate(LIMITS), 2 * MOST + 1, seconds=0.1))
    ends, begins = sorted(end for _, end in done), sorted(begun for begun, _ in done)
    # The worst case: the first ten arrive at their ends, the next at their begins.
    assert begins[MOST] - ends[0] >= SPAN
    assert begins[2 * MOST] - ends[MOST] >= SPAN


def _call(url: str, path: Path, count: int) -> None:
    settings = Settings.of(KEY, base_url=url)
    with Client(settings, rate=RequestRate(LIMITS, path=path)) as client:
        for number in range(count):
            client.call({"type": "identify", "userId": str(number)})


def test_processes_share_a_limit(tmp_path: Path) -> None:
    with CustomerIOServer() as server:
        context = multiprocessing.get_context("spawn")
        others = [context.Process(target=_call, args=(server.url, tmp_path / "rate", 12)) for _ in range(2)]
        for other in others:
            other.start()
        for other in others:
            other.join(20)
    assert [other.exitcode for other in others] == [0, 0]
    assert len(server.arrivals) == 24
    assert most_in_a_span([request.at for request in server.requests]) <= MOST


def test_slots_of_a_killed_process_come_back_after_the_lease(tmp_path: Path) -> None:
    limits = Limits(requests=1, seconds=0.05)

    async def take(rate: RequestRate) -> float:
        begun = time.monotonic()
        async with rate.turn():
            return time.monotonic() - begun

    killed = RequestRate(limits, lease=0.2, path=tmp_path / "rate")
    assert killed._take() is not None  # and it never says that it is done
    assert 0.2 <= asyncio.run(take(RequestRate(limits, lease=0.2, path=tmp_path / "rate"))) < 5


def test_a_restarted_machine_has_a_clock_that_begins_anew(tmp_path: Path) -> None:
    rate = RequestRate(Limits(requests=1, seconds=0.05), lease=0.2, path=tmp_path / "rate")
    rate._slots[1] = time.monotonic() + 1_000_000
    assert rate._take() is not None


def test_two_limits_cannot_share_a_file(tmp_path: Path) -> None:
    RequestRate(LIMITS, path=tmp_path / "rate").close()
    with pytest.raises(ConfigurationError, match="limits 10 requests, and 11 are configured"):
        RequestRate(Limits(requests=11), path=tmp_path / "rate")
