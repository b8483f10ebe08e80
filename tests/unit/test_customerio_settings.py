"""The key goes to the host of its region and nowhere else, and is shown nowhere."""

from __future__ import annotations

import base64

import pytest

from ecommerce_lakehouse.activation.customerio.errors import ConfigurationError
from ecommerce_lakehouse.activation.customerio.limits import Limits
from ecommerce_lakehouse.activation.customerio.settings import Region, Settings

US, EU, OLD = "sk_us_abc", "pk_eu_abc", "0123456789abcdef"


@pytest.mark.parametrize(
    ("key", "region", "url"),
    [
        (US, None, "https://cdp.customer.io/v1"),
        (EU, None, "https://cdp-eu.customer.io/v1"),
        (OLD, None, "https://cdp.customer.io/v1"),
        (OLD, "eu", "https://cdp-eu.customer.io/v1"),
        (EU, Region.EU, "https://cdp-eu.customer.io/v1"),
    ],
)
def test_calls_go_to_the_region_that_the_key_or_the_setting_names(
    key: str, region: Region | str | None, url: str
) -> None:
    assert Settings.of(key, region).base_url == url


@pytest.mark.parametrize(
    ("region", "url"), [("us", "https://api.customer.io/v1"), ("eu", "https://api-eu.customer.io/v1")]
)
def test_the_app_api_has_hosts_of_its_own(region: str, url: str) -> None:
    assert Settings.of_app(OLD, region).base_url == url
    assert Settings.of_app(OLD, region).authorization() == f"Bearer {OLD}"


@pytest.mark.parametrize(("key", "region"), [(US, "eu"), (EU, "us")])
def test_a_key_of_another_region_is_refused(key: str, region: str) -> None:
    with pytest.raises(ConfigurationError, match="the key belongs to the region") as refused:
        Settings.of(key, region)
    assert key not in str(refused.value)


@pytest.mark.parametrize("key", ["", "\n", "a b", "a\nb", "schl\u00fcssel", "a\tb"])
def test_what_cannot_be_a_key_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        Settings.of(key)


def test_a_region_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="neither us nor eu"):
        Settings.of(OLD, "mars")


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_new_keys_go_as_bearer_and_older_ones_by_basic_without_the_newline_at_their_end(end: str) -> None:
    assert Settings.of(US + end).authorization() == f"Bearer {US}"
    scheme, _, value = Settings.of(OLD + end).authorization().partition(" ")
    assert (scheme, base64.b64decode(value)) == ("Basic", f"{OLD}:".encode())


@pytest.mark.parametrize(
    "url",
    [
        "http://cdp.customer.io/v1",
        "http://10.0.0.1/v1",
        "ftp://localhost/v1",
        "https://user:x@example.com/v1",
        "/v1",
    ],
)
def test_an_address_that_would_show_the_key_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Settings.of(US, base_url=url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:80/v1/", "http://localhost/v1", "http://[::1]:8/v1"])
def test_tests_may_use_http_on_this_machine(url: str) -> None:
    assert Settings.of(US, base_url=url).base_url == url.rstrip("/")


def test_the_key_is_not_in_the_printed_form() -> None:
    settings = Settings.of(US)
    assert US not in f"{settings!r} {settings} {settings.key!r}"


def test_limits_are_positive() -> None:
    with pytest.raises(ValueError, match="batch_bytes"):
        Limits(batch_bytes=0)
