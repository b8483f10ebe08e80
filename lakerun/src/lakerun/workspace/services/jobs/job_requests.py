"""The bodies of requests about jobs and runs, except those that start a run of a job."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, SkipValidation, StrictBool, StrictStr

from lakerun.workspace.requests import Definition, RequestModel, RunAs, Whole


class EmailNotifications(RequestModel):
    on_start: list[StrictStr] | None = None
    on_success: list[StrictStr] | None = None
    on_failure: list[StrictStr] | None = None
    no_alert_for_skipped_runs: StrictBool | None = None


class Webhook(RequestModel):
    id: StrictStr


class WebhookNotifications(RequestModel):
    on_start: list[Webhook] | None = None
    on_success: list[Webhook] | None = None
    on_failure: list[Webhook] | None = None


class NotificationSettings(RequestModel):
    no_alert_for_canceled_runs: StrictBool | None = None
    no_alert_for_skipped_runs: StrictBool | None = None


class Task(RequestModel):
    """A task of a job, of exactly one type."""

    model_config = ConfigDict(extra="allow")

    task_key: str
    depends_on: list[dict[str, Any]] | None = None
    run_if: str | None = None
    environment_key: str | None = None
    max_retries: int | None = None
    timeout_seconds: int | None = None
    disabled: bool | None = None
    notebook_task: dict[str, Any] | None = None
    spark_python_task: dict[str, Any] | None = None
    python_wheel_task: dict[str, Any] | None = None
    pipeline_task: dict[str, Any] | None = None
    run_job_task: dict[str, Any] | None = None
    condition_task: dict[str, Any] | None = None
    for_each_task: dict[str, Any] | None = None


class TaskSettings(Definition):
    """The settings of a job and of a run without one.

    The bundle's reader of settings checks most of them, and its errors name the field.
    """

    tasks: SkipValidation[list[Task] | None] = None
    environments: SkipValidation[list[dict[str, Any]] | None] = None
    timeout_seconds: SkipValidation[int | None] = None
    email_notifications: EmailNotifications | None = None
    webhook_notifications: WebhookNotifications | None = None
    notification_settings: NotificationSettings | None = None
    queue: SkipValidation[dict[str, Any] | None] = None
    run_as: RunAs | None = None
    access_control_list: SkipValidation[list[dict[str, Any]] | None] = None


class JobSettings(TaskSettings):
    """A job's settings."""

    name: SkipValidation[str | None] = None
    description: SkipValidation[str | None] = None
    parameters: SkipValidation[list[dict[str, Any]] | None] = None
    job_clusters: SkipValidation[list[dict[str, Any]] | None] = None
    max_concurrent_runs: SkipValidation[int | None] = None
    schedule: SkipValidation[dict[str, Any] | None] = None
    trigger: SkipValidation[dict[str, Any] | None] = None
    continuous: SkipValidation[dict[str, Any] | None] = None
    tags: SkipValidation[dict[str, str] | None] = None


class SubmitRun(TaskSettings):
    """Tasks that run once, without a job."""

    run_name: SkipValidation[str | None] = None
    idempotency_token: SkipValidation[str | None] = None


class JobId(RequestModel):
    job_id: Whole


class ResetJob(JobId):
    new_settings: JobSettings


class UpdateJob(JobId):
    new_settings: JobSettings | None = None
    fields_to_remove: list[Any] = []


class RunId(RequestModel):
    run_id: Whole


class CancelRuns(RequestModel):
    """The runs of a job; with `all_queued_runs` only those that wait, without a job those of all jobs."""

    job_id: Whole | None = None
    all_queued_runs: bool = False
