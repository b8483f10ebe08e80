"""Requests are read strictly, and the OpenAPI document describes them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from workspace.lab import LocalWorkspace

JOB = "/api/2.2/jobs/create"


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    return answer.status_code, answer.json()["error_code"], answer.json()["message"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b'{"name": "a", "name": "b"}', "the key 'name' is repeated"),
        (b'{"tags": {"a": "b", "a": "b"}}', "the key 'a' is repeated"),
        (b'{"timeout_seconds": 9223372036854775808}', "does not fit in 64 bits"),
        (b'{"timeout_seconds": ' + b"9" * 5000 + b"}", "does not fit in 64 bits"),
        (b'{"tags": {"a": NaN}}', "the number NaN is not finite"),
        (b'{"tags": {"a": 1e999}}', "the number 1e999 is not finite"),
        (b'{"other": ' + b"[" * 100 + b"]" * 100 + b"}", "more than 100 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "more than 100 levels"),
        (b'{"name": "\xff"}', "it is not UTF-8"),
    ],
)
def test_json_that_cannot_be_kept_unchanged_is_malformed(
    http: httpx.Client, body: bytes, problem: str
) -> None:
    status, code, message = refusal(http.post(JOB, content=body))
    assert (status, code) == (400, "MALFORMED_REQUEST")
    assert problem in message


def test_half_of_a_surrogate_pair_is_refused_and_a_whole_one_kept(http: httpx.Client) -> None:
    half = http.post(JOB, content=b'{"description": "\\ud83d"}')
    assert refusal(half) == (400, "INVALID_PARAMETER_VALUE", "The request: a text is not valid Unicode.")
    job = http.post(JOB, content=b'{"description": "\\ud83d\\ude00"}').json()["job_id"]
    found = http.get("/api/2.2/jobs/get", params={"job_id": job}).json()
    assert found["settings"]["description"] == "\U0001f600"


def test_what_fits_is_kept_as_it_was_given(http: httpx.Client) -> None:
    other = {"deep": "x", "large": 2**63 - 1, "small": -(2**63), "half": 0.5}
    for _ in range(90):
        other = {"deep": other}
    job = http.post(JOB, json={"name": "kept", "unknown": other}).json()["job_id"]
    found = http.get("/api/2.2/jobs/get", params={"job_id": job}).json()
    assert found["settings"]["unknown"] == other


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (JOB, {"run_as": "me"}, "run_as"),
        (JOB, {"webhook_notifications": {"on_start": [{"url": "x"}]}}, "webhook_notifications.on_start.0.id"),
        (JOB, {"email_notifications": {"on_success": "me"}}, "email_notifications.on_success"),
        ("/api/2.0/pipelines", {"name": "x", "schema": "../outside"}, "schema"),
        ("/api/2.0/pipelines", {"name": "x", "event_log": {"name": "../log"}}, "event_log.name"),
        ("/api/2.0/pipelines", {"name": "x", "run_as": ["me"]}, "run_as"),
        ("/api/2.0/pipelines", {"name": "x", "notifications": [{"alerts": "all"}]}, "notifications.0.alerts"),
        ("/api/2.0/sql/warehouses", {"name": ["x"]}, "name"),
        ("/api/2.0/lakeview/dashboards", {"display_name": "x", "etag": 1}, "etag"),
        ("/api/2.1/clusters/start", {}, "cluster_id"),
        ("/api/2.0/preview/scim/v2/Users", {"userName": 7}, "userName"),
        ("/telemetry-ext", {"items": 7}, "items"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(
    http: httpx.Client, path: str, body: dict[str, Any], field: str
) -> None:
    status, code, message = refusal(http.post(path, json=body))
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message.startswith(f"{field}: ")


def test_the_openapi_document_needs_the_token_and_has_the_fields_of_every_body(
    workspace: LocalWorkspace, http: httpx.Client
) -> None:
    assert httpx.get(f"{workspace.url}/openapi.json").status_code == 401
    document = http.get("/openapi.json").json()
    bodies = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for media_type, body in operation.get("requestBody", {}).get("content", {}).items():
                bodies[f"{method.upper()} {path}"] = (media_type, str(body["schema"]))
    files = {"PUT /api/2.0/fs/files/{path}", "POST /api/2.0/workspace-files/import-file/{path}"}
    for endpoint, (media_type, schema) in bodies.items():
        assert media_type == ("application/octet-stream" if endpoint in files else "application/json")
        known = endpoint in files or "#/components/schemas/" in schema or "'properties':" in schema
        assert known, endpoint
    assert len(bodies) > 60
    fields = document["components"]["schemas"]["RunNow"]["properties"]
    assert {"job_id", "job_parameters", "only", "idempotency_token"} <= set(fields)
