"""Catalogs, schemas, volumes and grants on them."""

from __future__ import annotations

import httpx
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import BadRequest, InvalidParameterValue, NotFound
from databricks.sdk.service.catalog import PermissionsChange, Privilege, VolumeType

from workspace.lab import LocalWorkspace


def test_the_configured_catalogs_exist(client: WorkspaceClient) -> None:
    names = {catalog.name for catalog in client.catalogs.list()}
    assert {"dev", "staging", "prod"} <= names
    with pytest.raises(NotFound, match=r"Catalog 'stagin' does not exist\. The closest: staging"):
        client.schemas.create(name="sales", catalog_name="stagin")


def test_a_catalog_is_created_and_deleted_with_its_contents(
    workspace: LocalWorkspace, client: WorkspaceClient
) -> None:
    client.catalogs.create(name="Lab", comment="for trials")
    assert client.catalogs.get("lab").comment == "for trials"
    with pytest.raises(BadRequest, match="already exists"):
        client.catalogs.create(name="lab")
    client.schemas.create(name="s", catalog_name="lab")
    client.volumes.create(catalog_name="lab", schema_name="s", name="v", volume_type=VolumeType.MANAGED)
    with pytest.raises(BadRequest, match="not empty"):
        client.catalogs.delete("lab")
    client.catalogs.delete("lab", force=True)
    with pytest.raises(NotFound):
        client.volumes.read("lab.s.v")
    assert not (workspace.home / "volumes" / "lab" / "s").exists()


def test_a_schema_is_created_changed_listed_and_deleted(client: WorkspaceClient) -> None:
    created = client.schemas.create(
        name="Sales", catalog_name="prod", comment="orders", properties={"a": "b"}
    )
    assert (created.full_name, created.owner) == ("prod.sales", "developer@example.com")
    changed = client.schemas.update("prod.sales", comment="all orders")
    assert (changed.comment, changed.properties) == ("all orders", {"a": "b"})
    assert client.schemas.get("PROD.sales").comment == "all orders"
    assert "prod.sales" in [schema.full_name for schema in client.schemas.list(catalog_name="prod")]
    with pytest.raises(BadRequest, match=r"Schema 'prod\.sales' already exists"):
        client.schemas.create(name="sales", catalog_name="prod")
    client.schemas.delete("prod.sales")
    with pytest.raises(NotFound, match=r"Schema 'prod\.sales' does not exist"):
        client.schemas.get("prod.sales")


def test_deleting_a_schema_by_force_deletes_its_tables_and_files(
    workspace: LocalWorkspace, client: WorkspaceClient
) -> None:
    client.schemas.create(name="full", catalog_name="staging")
    client.schemas.create(name="other", catalog_name="staging")
    for schema in ("full", "other"):
        (workspace.home / "tables" / "staging" / schema / "orders" / "_delta_log").mkdir(parents=True)
    client.volumes.create(
        catalog_name="staging", schema_name="full", name="raw", volume_type=VolumeType.MANAGED
    )
    raw = workspace.home / "volumes" / "staging" / "full" / "raw"
    (raw / "orders.json").write_text("{}")
    with pytest.raises(BadRequest, match="1 tables and 1 volumes"):
        client.schemas.delete("staging.full")
    assert raw.exists()
    client.schemas.delete("staging.full", force=True)
    assert not (workspace.home / "tables" / "staging" / "full").exists()
    assert not raw.exists()
    assert (workspace.home / "tables" / "staging" / "other" / "orders").exists()
    with pytest.raises(NotFound):
        client.volumes.read("staging.full.raw")


def test_a_volume_is_a_folder_that_can_be_renamed(workspace: LocalWorkspace, client: WorkspaceClient) -> None:
    client.schemas.create(name="files", catalog_name="prod")
    created = client.volumes.create(
        catalog_name="prod", schema_name="files", name="raw", volume_type=VolumeType.MANAGED
    )
    folder = workspace.home / "volumes" / "prod" / "files"
    assert (created.full_name, created.storage_location) == ("prod.files.raw", (folder / "raw").as_uri())
    (folder / "raw" / "a.json").write_text("{}")
    renamed = client.volumes.update("prod.files.raw", new_name="landing", comment="as it came")
    assert (renamed.full_name, renamed.comment) == ("prod.files.landing", "as it came")
    assert (folder / "landing" / "a.json").read_text() == "{}"
    assert [v.name for v in client.volumes.list("prod", "files")] == ["landing"]
    client.volumes.delete("prod.files.landing")
    assert not (folder / "landing").exists()
    with pytest.raises(InvalidParameterValue, match="volume_type"):
        client.volumes.create(
            catalog_name="prod",
            schema_name="files",
            name="elsewhere",
            volume_type=VolumeType.EXTERNAL,
            storage_location="/etc",
        )


@pytest.mark.parametrize("name", ["..", "a/b", "a.b", "a b", "", "a\\b", "a\x00b", "x" * 256])
def test_a_name_that_could_be_a_path_is_refused(http: httpx.Client, name: str) -> None:
    for kind, fields in (
        ("catalogs", {"name": name}),
        ("schemas", {"name": name, "catalog_name": "prod"}),
        ("schemas", {"name": "x", "catalog_name": name}),
        ("volumes", {"name": name, "catalog_name": "prod", "schema_name": "x", "volume_type": "MANAGED"}),
    ):
        answer = http.post(f"/api/2.1/unity-catalog/{kind}", json=fields)
        assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert "name" in answer.json()["message"]


def grants(client: WorkspaceClient, schema: str) -> dict[str, list[str]]:
    answer = client.grants.get("schema", schema)
    return {
        str(item.principal): [privilege.value for privilege in item.privileges or []]
        for item in answer.privilege_assignments or []
    }


def test_grants_are_added_and_removed(client: WorkspaceClient) -> None:
    client.schemas.create(name="granted", catalog_name="prod")
    name = "prod.granted"
    readers = PermissionsChange(principal="readers", add=[Privilege.USE_SCHEMA, Privilege.SELECT])
    writers = PermissionsChange(principal="writers", add=[Privilege.MODIFY])
    client.grants.update("schema", name, changes=[readers, writers])
    assert grants(client, name) == {"readers": ["SELECT", "USE_SCHEMA"], "writers": ["MODIFY"]}
    less = PermissionsChange(principal="readers", remove=[Privilege.SELECT])
    none = PermissionsChange(principal="writers", remove=[Privilege.ALL_PRIVILEGES])
    client.grants.update("schema", name, changes=[less, none])
    assert grants(client, name) == {"readers": ["USE_SCHEMA"]}
    # The exact grants, as a bundle's deployment sends them.
    exactly = PermissionsChange(
        principal="readers", add=[Privilege.SELECT], remove=[Privilege.ALL_PRIVILEGES]
    )
    client.grants.update("schema", name, changes=[exactly])
    assert grants(client, name) == {"readers": ["SELECT"]}
    both = PermissionsChange(principal="readers", add=[Privilege.SELECT], remove=[Privilege.SELECT])
    with pytest.raises(InvalidParameterValue, match=r"changes\.0: SELECT is both added and removed"):
        client.grants.update("schema", name, changes=[both])
    client.schemas.delete(name)
    with pytest.raises(NotFound):
        client.grants.get("schema", name)
    client.schemas.create(name="granted", catalog_name="prod")
    assert grants(client, name) == {}


def test_the_metastore_has_the_default_catalog_of_templates(client: WorkspaceClient) -> None:
    assignment = client.metastores.current()
    assert assignment.default_catalog_name == "main"
    assert client.catalogs.get("main").name == "main"


def test_what_sql_or_a_run_has_made_is_found_without_a_deployment(
    workspace: LocalWorkspace, client: WorkspaceClient
) -> None:
    volume = workspace.home / "volumes" / "guests" / "raw" / "incoming"
    volume.mkdir(parents=True)
    (workspace.home / "tables" / "guests" / "sales").mkdir(parents=True)
    assert client.catalogs.get("guests").full_name == "guests"
    assert [schema.full_name for schema in client.schemas.list("guests")] == ["guests.raw", "guests.sales"]
    (found,) = client.volumes.list("guests", "raw")
    assert (found.full_name, found.storage_location) == ("guests.raw.incoming", volume.as_uri())
    assert client.volumes.read("guests.raw.incoming") == found
    client.schemas.create(name="sales", catalog_name="guests", comment="deployed after a run")
    assert client.schemas.get("guests.sales").comment == "deployed after a run"
    with pytest.raises(BadRequest, match="not empty: it has 0 tables and 1 volumes"):
        client.schemas.delete("guests.raw")
    client.catalogs.delete("guests", force=True)
    assert not volume.parents[1].exists()
    with pytest.raises(NotFound):
        client.catalogs.get("guests")


def test_a_volume_that_sql_has_dropped_can_be_made_again(
    workspace: LocalWorkspace, client: WorkspaceClient
) -> None:
    client.schemas.create(name="dropped", catalog_name="dev")
    new = {"catalog_name": "dev", "schema_name": "dropped", "name": "v", "volume_type": VolumeType.MANAGED}
    client.volumes.create(**new)  # type: ignore[arg-type]
    (workspace.home / "volumes" / "dev" / "dropped" / "v").rmdir()
    assert list(client.volumes.list("dev", "dropped")) == []
    with pytest.raises(NotFound, match=r"Volume 'dev\.dropped\.v' does not exist"):
        client.volumes.read("dev.dropped.v")
    client.volumes.create(**new)  # type: ignore[arg-type]
    assert (workspace.home / "volumes" / "dev" / "dropped" / "v").is_dir()
