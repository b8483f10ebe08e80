"""Definitions of pipelines: `PipelineService`. `Updates` runs them."""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable

from lakerun.tables.storage import Storage, TableName
from lakerun.workspace.errors import ApiError, invalid
from lakerun.workspace.paging import checked_size, page_of
from lakerun.workspace.services.access.permissions import PermissionService
from lakerun.workspace.services.checks import like, now_ms
from lakerun.workspace.services.creations import CreationService
from lakerun.workspace.services.pipelines.pipeline_requests import PipelineDefinition
from lakerun.workspace.store import Document, Store

REQUEST_ONLY = (
    "allow_duplicate_names",
    "dry_run",
    "run_as",
    "parameters",
    "expected_last_modified",
    "pipeline_id",
)
FILTER = re.compile(r"""^\s*(name|notebook)\s+(=|like|LIKE)\s+'(.*)'\s*$""")
MAX_PER_PAGE = 100


class PipelineService:
    """Documents of kind "pipeline". Listeners in `on_change` get the id after each change and deletion.

    `state_of` returns a pipeline's `state` and `latest_updates`.
    """

    def __init__(
        self,
        store: Store,
        user: str,
        permissions: PermissionService,
        creations: CreationService,
        storage: Storage,
    ) -> None:
        self._store = store
        self._storage = storage
        self._user = user
        self._permissions = permissions
        self._creations = creations
        self.on_change: list[Callable[[str], None]] = []
        self.state_of: Callable[[str], Document] = lambda pipeline_id: {}
        creations.register("pipeline", self.delete)

    def create(self, definition: PipelineDefinition) -> str:
        """Create a pipeline and return its id; RESOURCE_CONFLICT if the name is taken."""
        body = definition.given()
        with self._store.transaction():
            self._check_name(body)
            pipeline_id = str(uuid.uuid4())
            document = {"pipeline_id": pipeline_id, "creator_user_name": self._user, "state": "IDLE"}
            self._store.put("pipeline", pipeline_id, self._with_spec(document, body))
            self._creations.note("pipeline", pipeline_id)
        self._changed(pipeline_id)
        return pipeline_id

    def get(self, pipeline_id: str) -> Document:
        """The pipeline's document with its latest updates."""
        return self._shown(self._stored(pipeline_id))

    def page(self, *, filter: str | None, size: int, token: str | None) -> tuple[list[Document], str | None]:
        """A page of pipelines by name, and the next page's token; the filter is `name LIKE '%x%'`."""
        size = checked_size(size, MAX_PER_PAGE, "max_results")
        found = sorted(self._store.list("pipeline"), key=lambda pipeline: str(pipeline["name"]))
        if filter:
            pattern = _pattern(filter)
            found = [pipeline for pipeline in found if pattern.fullmatch(pipeline["name"])]
        page, following = page_of(found, token, size)
        hidden = ("spec", "parameters", "effective_publishing_mode", "last_modified")
        return [
            {key: value for key, value in self._shown(item).items() if key not in hidden} for item in page
        ], following

    def edit(self, pipeline_id: str, definition: PipelineDefinition) -> None:
        """Replace the definition; `expected_last_modified` guards against a concurrent change."""
        body = definition.given()
        with self._store.transaction():
            pipeline = self._stored(pipeline_id)
            expected = definition.expected_last_modified
            if expected not in (None, 0, pipeline["last_modified"]):
                raise ApiError(
                    "RESOURCE_CONFLICT",
                    f"expected_last_modified: the pipeline was modified at {pipeline['last_modified']}.",
                )
            if body["name"] != pipeline["name"]:
                self._check_name(body)
            self._store.put("pipeline", pipeline_id, self._with_spec(pipeline, body))
        self._changed(pipeline_id)

    def delete(self, pipeline_id: str, *, cascade: bool = True) -> None:
        """Delete a pipeline with its checkpoints and, unless `cascade` is false, the tables that it wrote."""
        with self._store.transaction():
            self._stored(pipeline_id)
            tables = self._tables(pipeline_id) if cascade else []
            self._store.delete("pipeline", pipeline_id)
            self._permissions.forget("pipelines", pipeline_id)
        self._changed(pipeline_id)
        for folder in [self._storage.pipeline_path(pipeline_id), *map(self._storage.table_path, tables)]:
            shutil.rmtree(folder, ignore_errors=True)

    def _stored(self, pipeline_id: str) -> Document:
        pipeline = self._store.get("pipeline", pipeline_id)
        if pipeline is None:
            message = f"The specified pipeline {pipeline_id} was not found."
            raise ApiError("RESOURCE_DOES_NOT_EXIST", message)
        return pipeline

    def _tables(self, pipeline_id: str) -> list[TableName]:
        """The tables that its updates report as written."""
        names = {
            str(dataset["name"])
            for update in self._store.list("update", pipeline_id)
            for dataset in (update.get("result") or {}).get("datasets", ())
            if dataset["kind"] in ("streaming table", "materialized view")
        }
        return [TableName(*name.split(".")) for name in sorted(names) if name.count(".") == 2]

    def _check_name(self, body: Document) -> None:
        taken = any(pipeline["name"] == body["name"] for pipeline in self._store.list("pipeline"))
        if taken and not body.get("allow_duplicate_names"):
            raise ApiError(
                "RESOURCE_CONFLICT",
                f"name: '{body['name']}' is already used by another pipeline. "
                "Choose another name, or set allow_duplicate_names.",
            )

    def _with_spec(self, document: Document, body: Document) -> Document:
        self._storage.make_schema(body.get("catalog"), body.get("schema") or body.get("target"))
        spec = {key: value for key, value in body.items() if key not in REQUEST_ONLY}
        kept = {**document, "name": body["name"], "last_modified": now_ms()}
        kept["spec"] = {**spec, "id": document["pipeline_id"]}
        kept["effective_publishing_mode"] = "DEFAULT_PUBLISHING_MODE"
        for field in ("run_as", "parameters"):
            if body.get(field) is not None:
                kept[field] = body[field]
            elif field == "parameters":
                kept.pop(field, None)
        return kept

    def _shown(self, pipeline: Document) -> Document:
        run_as = pipeline.get("run_as") or {}
        shown: Document = {
            **pipeline,
            "run_as_user_name": run_as.get("service_principal_name") or run_as.get("user_name") or self._user,
        }
        state = self.state_of(pipeline["pipeline_id"])
        return shown | {key: value for key, value in state.items() if value}

    def _changed(self, pipeline_id: str) -> None:
        for listener in self.on_change:
            listener(pipeline_id)


def _pattern(filter: str) -> re.Pattern[str]:
    parsed = FILTER.match(filter)
    if parsed is None or parsed[1] != "name":
        raise invalid(f"filter: must be like name LIKE '%daily%'; given: {filter!r}.")
    if parsed[2] == "=":
        return re.compile(re.escape(parsed[3]), re.IGNORECASE)
    return like(parsed[3], one="")
