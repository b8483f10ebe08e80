"""Sessions of the pages: cookies, and when they stop working."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from lakerun.workspace.pages.session import end_all
from workspace.pages_site import TOKEN, Site, serve


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serve(tmp_path_factory.mktemp("sessions")) as site:
        yield site


def test_a_forged_cookie_is_refused(site: Site) -> None:
    with site.reader() as client:
        ((name, session),) = client.cookies.items()
        (key,) = {document["id"] for document in site.store.list("page_session")} - {session}
        for forged in (session[:-1], f"{session}x", key, "", "\u0661.1", TOKEN):
            with site.visitor() as visitor:
                refused = visitor.get("/", headers={"cookie": f"{name}={forged}".encode()})
                assert refused.status_code == 303, forged


def test_signing_out_ends_the_session_and_every_copy_of_its_cookie(site: Site) -> None:
    with site.reader() as client, site.visitor() as thief:
        thief.cookies.update(client.cookies)
        assert thief.get("/").status_code == 200
        assert client.post("/logout").headers["location"] == "/login"
        assert client.get("/").status_code == 303
        assert thief.get("/").status_code == 303


def test_a_session_ends_after_a_week(site: Site) -> None:
    with site.reader() as client:
        for document in site.store.list("page_session"):
            assert 0 <= time.time() + 7 * 24 * 3600 - document["expires"] < 600
            site.store.put("page_session", document["id"], {**document, "expires": time.time() - 1})
        assert client.get("/").status_code == 303
        with site.reader():
            (left,) = site.store.list("page_session")  # signing in deletes those that have ended
        assert left["expires"] > time.time()


def test_every_browser_can_be_signed_out_at_once(site: Site) -> None:
    with site.reader() as one, site.reader() as other:
        assert end_all(site.store) >= 2
        assert [client.get("/").status_code for client in (one, other)] == [303, 303]
