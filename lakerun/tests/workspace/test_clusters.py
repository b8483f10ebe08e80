"""Clusters that bundles declare: made, found, changed, ended."""

from __future__ import annotations

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound
from databricks.sdk.service.compute import State
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel


def test_a_cluster_runs_as_soon_as_it_is_made_and_goes_with_its_permissions(client: WorkspaceClient) -> None:
    conf = {"spark.master": "local[*, 4]"}
    id = client.clusters.create(
        "15.4.x-scala2.12", cluster_name="Development", num_workers=0, spark_conf=conf
    ).response.cluster_id
    assert id is not None
    found = client.clusters.get(id)
    assert (found.cluster_name, found.state, found.spark_conf) == ("Development", State.RUNNING, conf)
    assert [cluster.cluster_id for cluster in client.clusters.list()] == [id]
    access = [AccessControlRequest(user_name="ana@example.com", permission_level=PermissionLevel.CAN_MANAGE)]
    client.permissions.set("clusters", id, access_control_list=access)
    client.clusters.edit(id, "16.4.x-scala2.12", cluster_name="Other", num_workers=1)
    changed = client.clusters.get(id)
    assert (changed.cluster_name, changed.spark_version, changed.num_workers) == (
        "Other",
        "16.4.x-scala2.12",
        1,
    )
    assert not changed.spark_conf
    client.clusters.delete(id).result()
    assert client.clusters.get(id).state == State.TERMINATED
    client.clusters.permanent_delete(id)
    with pytest.raises(NotFound):
        client.clusters.get(id)


def test_a_wrong_cluster_names_the_field(client: WorkspaceClient) -> None:
    with pytest.raises(InvalidParameterValue, match="num_workers"):
        client.clusters.create("15.4.x-scala2.12", num_workers=-1)
    with pytest.raises(NotFound):
        client.clusters.edit("none", "15.4.x-scala2.12")
