"""Pipelines and their updates: `/pipelines/...`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from lakerun.formats import between
from lakerun.pipelines.results import UPDATE_ENDED
from lakerun.workspace.errors import missing
from lakerun.workspace.pages.datasets import dataset_drawing, datasets_of, errors_of
from lakerun.workspace.pages.render import render
from lakerun.workspace.pages.states import state_of
from lakerun.workspace.paging import LAST_PAGE, numbered_page, reader

if TYPE_CHECKING:
    from lakerun.workspace.services import Services

UPDATES_PER_PAGE = 20
EVENTS_PER_PAGE = 50
CAUSES = {"API_CALL": "API call"}
LEVELS = ("INFO", "WARN", "ERROR", "METRICS")


def router(services: Services) -> APIRouter:
    """Pages of pipelines and updates."""
    routes = APIRouter()
    store = services.store

    @routes.get("/pipelines/{pipeline_id}")
    def pipeline(request: Request, pipeline_id: str, page: int = Query(1, ge=1, le=LAST_PAGE)) -> Response:
        found = _pipeline(services, pipeline_id)
        newest_first = partial(store.list, "update", pipeline_id, newest_first=True)
        updates, paging = numbered_page(newest_first, page, UPDATES_PER_PAGE)
        newest = updates if page == 1 else newest_first(limit=1)
        datasets = _latest_datasets(services, newest)
        rows = [_update_row(services, update) for update in updates]
        return render(
            request,
            "pipeline.html",
            pipeline=found,
            name=_name(found),
            spec=found.get("spec", {}),
            drawing=dataset_drawing(datasets),
            datasets=datasets,
            updates=rows,
            paging=paging,
            follow=2 if any(not row["over"] for row in rows) else 10,
        )

    @routes.get("/pipelines/{pipeline_id}/updates/{update_id}")
    def update(
        request: Request,
        pipeline_id: str,
        update_id: str,
        level: str = "",
        page: int = Query(1, ge=1, le=LAST_PAGE),
    ) -> Response:
        found = _pipeline(services, pipeline_id)
        update = store.get("update", update_id)
        if update is None or update.get("pipeline_id", pipeline_id) != pipeline_id:
            raise missing("Update", update_id)
        events = store.list("event", update_id)
        level = level if level in LEVELS else ""
        listed = [event for event in reversed(events) if level in ("", event.get("level"))]
        shown, paging = numbered_page(reader(listed), page, EVENTS_PER_PAGE, {"level": level}, "#events")
        datasets = datasets_of(update, events)
        row = _update_row(services, update)
        return render(
            request,
            "update.html",
            pipeline=found,
            name=_name(found),
            update=update,
            row=row,
            datasets=datasets,
            drawing=dataset_drawing(datasets),
            errors=errors_of(events),
            events=shown,
            counts={each: sum(event.get("level") == each for event in events) for each in LEVELS},
            level=level,
            paging=paging,
            total=len(listed),
            follow=0 if row["over"] else 1,
        )

    return routes


def _pipeline(services: Services, pipeline_id: str) -> Mapping[str, Any]:
    if (found := services.store.get("pipeline", pipeline_id)) is None:
        raise missing("Pipeline", pipeline_id)
    return found


def _name(pipeline: Mapping[str, Any]) -> str:
    return str(pipeline.get("name") or pipeline.get("spec", {}).get("name") or pipeline["pipeline_id"])


def _latest_datasets(services: Services, updates: list[dict[str, Any]]) -> Mapping[str, Any]:
    """The datasets as the newest update left them; empty if it failed before it knew them."""
    for update in updates:
        if datasets := datasets_of(update, services.store.list("event", update["update_id"])):
            return datasets
    return {}


def _update_row(services: Services, update: Mapping[str, Any]) -> dict[str, Any]:
    over = update.get("state") in UPDATE_ENDED
    created = update.get("creation_time")
    seconds = (update.get("result") or {}).get("seconds")
    if seconds is None and not over:
        seconds = between(created, None)
    elif seconds is None:
        last = services.store.list("event", update["update_id"], newest_first=True, limit=1)
        seconds = between(created, last[0].get("timestamp")) if last else None
    cause = str(update.get("cause") or "")
    return {
        "id": update["update_id"],
        "state": state_of(update.get("state")),
        "over": over,
        "start": created,
        "seconds": seconds,
        "cause": CAUSES.get(cause, cause.replace("_", " ").capitalize()),
        "kind": _kind(update),
    }


def _kind(update: Mapping[str, Any]) -> str:
    """The update's options in words."""
    if update.get("validate_only"):
        return "validation only"
    if update.get("full_refresh"):
        return "full refresh of all tables"
    parts = []
    if names := update.get("full_refresh_selection"):
        parts.append(f"full refresh of {', '.join(names)}")
    if names := update.get("refresh_selection"):
        parts.append(f"refresh of {', '.join(names)}")
    return "; ".join(parts) or "incremental"
