"""What becomes of every setting of a pipeline and of a job: `SETTINGS`.

They are named as in the bundle's JSON schema. A test compares both, so that a new setting is found.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakerun.bundles.support import Support, supported

_COSTS = "It is about cost, and this machine costs the same."
_DEPLOYED = "The deployment uses it."
_MACHINE = "It chooses machines; everything runs on this one."
_ONE_USER = "There is one user, who may do everything."
_LABEL = "It is a label."
_RECORDED = "The local workspace records the notification."
_NO_WARNINGS = "It only asks for a warning, and no run depends on it."
TASK_TYPES = ("python_wheel", "spark_python", "notebook", "pipeline", "condition", "run_job", "for_each")
_OTHER_KIND = f"Supported types: {', '.join(f'{kind}_task' for kind in TASK_TYPES)}."
_JAVA = "Code of the JVM is not run here."
_GIT = "Files come from the bundle; deploy them with it."
_SPEED = "It changes the speed, and no result."


def _parts(kind: str, reason: str) -> Support:
    return Support("carried out", reason, parts=kind)


def _source(reason: str = _GIT) -> Support:
    return Support("refused", reason, ("WORKSPACE",))


_PIPELINE = supported(
    carried_out={
        "name": "The pipeline's name.",
        "catalog": "Where tables without a catalog in their name are.",
        "schema": "Where tables without a schema in their name are.",
        "target": "The same as `schema`.",
        "configuration": "Settings of the pipeline's Spark session, which its code reads.",
        "libraries": _parts("pipelines.PipelineLibrary", "The source files."),
        "root_path": "The source files import from this folder.",
        "environment": _parts("pipelines.PipelinesEnvironment", "What the source files import."),
        "event_log": _parts("pipelines.EventLogSpec", "The table in which the event log is published."),
        "development": "It is shown, and changes no update.",
        "notifications": _parts("pipelines.Notifications", _RECORDED),
        "clusters": _parts("pipelines.PipelineCluster", "Of a cluster, only its Spark settings count."),
        "trigger": _parts("pipelines.PipelineTrigger", "Updates are started by hand or by a job."),
        "permissions": "The local workspace keeps them.",
        "allow_duplicate_names": "The local workspace checks names.",
        "cascade_on_destroy": "Whether the tables are deleted with the pipeline.",
        "lifecycle": _DEPLOYED,
        "id": "The deployment gives it.",
        "deployment": _DEPLOYED,
    },
    no_effect={
        "budget_policy_id": _COSTS,
        "usage_policy_id": _COSTS,
        "channel": "There is one version of the runtime, the installed one.",
        "edition": "Every edition's features are there.",
        "photon": _SPEED,
        "serverless": _MACHINE,
        "serverless_compute_id": _MACHINE,
        "restart_window": "It is for continuous pipelines.",
        "run_as": _ONE_USER,
        "tags": _LABEL,
    },
    refused={
        "continuous": "Run its updates again with a job that has a periodic trigger or a schedule.",
        "filters": "Every source file of the libraries is read.",
        "gateway_definition": "Connections to other systems are Databricks' own.",
        "ingestion_definition": "Connections to other systems are Databricks' own.",
        "parameters": "Use `configuration`.",
        "storage": "Tables are in the data folder.",
    },
)
_CLUSTER = {
    "apply_policy_default_values": _MACHINE,
    "autoscale": _MACHINE,
    "aws_attributes": _MACHINE,
    "azure_attributes": _MACHINE,
    "gcp_attributes": _MACHINE,
    "cluster_log_conf": "The logs are in the data folder.",
    "custom_tags": _LABEL,
    "driver_instance_pool_id": _MACHINE,
    "driver_node_type_id": _MACHINE,
    "enable_local_disk_encryption": _MACHINE,
    "instance_pool_id": _MACHINE,
    "node_type_id": _MACHINE,
    "num_workers": _MACHINE,
    "policy_id": _MACHINE,
    "ssh_public_keys": _MACHINE,
}
_CLUSTER_REFUSED: Mapping[str, str | Support] = {
    "init_scripts": "Nothing is installed on this machine by a script.",
    "spark_env_vars": Support(
        "refused",
        "Tasks share a process and its environment variables; use parameters.",
        ({"PYSPARK_PYTHON": "/databricks/python3/bin/python3"},),
    ),
}
_NOTIFICATIONS = {
    **dict.fromkeys(("on_start", "on_success", "on_failure"), _RECORDED),
}
_NO_NOTIFICATIONS = {
    "on_duration_warning_threshold_exceeded": _NO_WARNINGS,
    "on_streaming_backlog_exceeded": _NO_WARNINGS,
}
_JOB = supported(
    carried_out={
        "name": "The job's name.",
        "description": "It is shown.",
        "tasks": _parts("jobs.Task", "What the job runs."),
        "parameters": _parts("jobs.JobParameterDefinition", "The job's parameters and their defaults."),
        "environments": _parts("jobs.JobEnvironment", "What tasks import."),
        "job_clusters": _parts("jobs.JobCluster", "Tasks name them."),
        "timeout_seconds": "A run that takes longer is stopped.",
        "max_concurrent_runs": "The local workspace queues or skips a run beyond it.",
        "queue": _parts("jobs.QueueSettings", "Whether such a run waits."),
        "schedule": _parts("jobs.CronSchedule", "The local workspace starts the runs."),
        "trigger": _parts("jobs.TriggerSettings", "The local workspace starts the runs."),
        "continuous": _parts("jobs.Continuous", "The local workspace starts the next run after each."),
        "email_notifications": _parts("jobs.JobEmailNotifications", _RECORDED),
        "webhook_notifications": _parts("jobs.WebhookNotifications", _RECORDED),
        "notification_settings": _parts("jobs.JobNotificationSettings", "Which are left out."),
        "permissions": "The local workspace keeps them.",
        "lifecycle": _DEPLOYED,
        **dict.fromkeys(("deployment", "edit_mode", "format", "access_control_list"), _DEPLOYED),
        "run_name": "The name of a run that belongs to no job.",
        "idempotency_token": "A second request with it starts no second run.",
    },
    no_effect={
        "budget_policy_id": _COSTS,
        "usage_policy_id": _COSTS,
        "health": _NO_WARNINGS,
        "parent_path": "It is where Databricks lists the job.",
        "performance_target": _SPEED,
        "run_as": _ONE_USER,
        "tags": _LABEL,
    },
    refused={"git_source": _GIT},
)
_TASK = supported(
    carried_out={
        "task_key": "The task's name in the job.",
        "description": "It is shown.",
        "depends_on": _parts("jobs.TaskDependency", "The tasks that come before."),
        "run_if": "Which results of them let the task run.",
        "disabled": "The task is not run.",
        "max_retries": "How often a failed task is run again.",
        "min_retry_interval_millis": "The time between the starts of two attempts.",
        "retry_on_timeout": "Whether an attempt that took too long is repeated.",
        "timeout_seconds": "An attempt that takes longer is stopped.",
        "environment_key": "The environment that the task imports from.",
        "libraries": _parts("compute.Library", "What the task imports."),
        "job_cluster_key": "Of the job's cluster, only its Spark settings count.",
        "new_cluster": _parts("compute.ClusterSpec", "Of a cluster, only its Spark settings count."),
        "condition_task": _parts("jobs.ConditionTask", "It compares two values."),
        "for_each_task": _parts("jobs.ForEachTask", "It repeats a task."),
        "notebook_task": _parts("jobs.NotebookTask", "It runs a notebook."),
        "pipeline_task": _parts("jobs.PipelineTask", "It updates a pipeline."),
        "python_wheel_task": _parts("jobs.PythonWheelTask", "It calls a function of a package."),
        "run_job_task": _parts("jobs.RunJobTask", "It runs another job."),
        "spark_python_task": _parts("jobs.SparkPythonTask", "It runs a script."),
    },
    no_effect={
        "compute": _MACHINE,
        "disable_auto_optimization": "Nothing is optimized or repeated by itself.",
        "email_notifications": "Notifications are those of the job; its run shows each task.",
        "webhook_notifications": "Notifications are those of the job; its run shows each task.",
        "notification_settings": "Notifications are those of the job; its run shows each task.",
        "existing_cluster_id": _MACHINE,
        "health": _NO_WARNINGS,
    },
    refused=dict.fromkeys(
        (
            "ai_runtime_task", "alert_task", "clean_rooms_notebook_task", "dashboard_task", "dbt_cloud_task",
            "dbt_platform_task", "dbt_task", "gen_ai_compute_task", "power_bi_task", "python_operator_task",
            "spark_jar_task", "spark_submit_task", "sql_task",
        ),
        _OTHER_KIND,
    ),
)  # fmt: skip

SETTINGS: Mapping[str, Mapping[str, Support]] = {
    "resources.Pipeline": _PIPELINE,
    "pipelines.PipelineLibrary": supported(
        carried_out={
            "file": _parts("pipelines.FileLibrary", "A source file."),
            "glob": _parts("pipelines.PathPattern", "The source files of a folder."),
            "notebook": _parts("pipelines.NotebookLibrary", "A notebook in Databricks' source format."),
        },
        refused={
            "jar": _JAVA,
            "maven": _JAVA,
            "whl": "Name the wheel in the pipeline's `environment`.",
        },
    ),
    "pipelines.FileLibrary": supported(carried_out={"path": "The file."}),
    "pipelines.NotebookLibrary": supported(carried_out={"path": "The notebook."}),
    "pipelines.PathPattern": supported(carried_out={"include": "The folder, with `/**` behind it."}),
    "pipelines.PipelinesEnvironment": supported(
        carried_out={"dependencies": "Wheels, and packages that are installed here."},
        no_effect={"environment_version": "Python and its packages are those of this machine."},
    ),
    "pipelines.EventLogSpec": supported(
        carried_out=dict.fromkeys(("catalog", "schema", "name"), "A part of the table's name.")
    ),
    "pipelines.Notifications": supported(
        carried_out={
            "alerts": "Which ends of an update are told: `on-update-success`, `on-update-failure`.",
            "email_recipients": "To whom.",
        }
    ),
    "pipelines.PipelineTrigger": supported(
        carried_out={"manual": "It is the only way here."},
        refused={"cron": "Give a job that updates the pipeline a schedule."},
    ),
    "pipelines.PipelineCluster": supported(
        carried_out={
            "spark_conf": "Settings of the pipeline's Spark session; `configuration` comes first.",
            "label": "Those of `maintenance` are left out.",
        },
        no_effect=_CLUSTER,
        refused=_CLUSTER_REFUSED,
    ),
    "resources.Job": _JOB,
    "jobs.JobParameterDefinition": supported(
        carried_out={"name": "The parameter's name.", "default": "Its value where a run gives none."}
    ),
    "jobs.JobEnvironment": supported(
        carried_out={
            "environment_key": "Tasks name it.",
            "spec": _parts("compute.Environment", "What it holds."),
        }
    ),
    "compute.Environment": supported(
        carried_out={"dependencies": "Wheels, and packages that are installed here."},
        no_effect={
            "client": "Python and its packages are those of this machine.",
            "environment_version": "Python and its packages are those of this machine.",
        },
        refused={"base_environment": "Name what it holds in `dependencies`.", "java_dependencies": _JAVA},
    ),
    "jobs.JobCluster": supported(
        carried_out={
            "job_cluster_key": "Tasks name it.",
            "new_cluster": _parts("compute.ClusterSpec", "Of a cluster, only its Spark settings count."),
        },
        no_effect={"serverless_compute_id": _MACHINE},
    ),
    "compute.ClusterSpec": supported(
        carried_out={"spark_conf": "Spark's settings for the task."},
        no_effect={
            **_CLUSTER,
            **dict.fromkeys(
                (
                    "autotermination_minutes", "data_security_mode", "dependency_mode",
                    "driver_node_type_flexibility", "enable_elastic_disk", "is_single_node", "kind",
                    "remote_disk_throughput", "single_user_name", "total_initial_remote_disk_size",
                    "use_ml_runtime", "worker_node_type_flexibility", "workload_type",
                ),
                _MACHINE,
            ),
            "cluster_name": _LABEL,
            "runtime_engine": _SPEED,
            "spark_version": "Spark is the installed one.",
        },
        refused={**_CLUSTER_REFUSED, "docker_image": "Tasks run in this machine's Python."},
    ),
    "jobs.QueueSettings": supported(carried_out={"enabled": "Whether such a run waits; else it is skipped."}),
    "jobs.CronSchedule": supported(
        carried_out={
            "quartz_cron_expression": "When runs start.",
            "timezone_id": "The time zone of these times.",
            "pause_status": "`PAUSED` starts none.",
        },
        refused={"sql_condition": "No query is asked before a run."},
    ),
    "jobs.TriggerSettings": supported(
        carried_out={
            "file_arrival": _parts("jobs.FileArrivalTriggerConfiguration", "New files in a volume."),
            "table_update": _parts("jobs.TableUpdateTriggerConfiguration", "Commits to tables."),
            "periodic": _parts("jobs.PeriodicTriggerConfiguration", "An interval."),
            "pause_status": "`PAUSED` starts none.",
        },
        refused={
            "model": "There are no models here.",
            "sql_condition": "No query is asked before a run.",
        },
    ),
    "jobs.PeriodicTriggerConfiguration": supported(
        carried_out={"interval": "How many units.", "unit": "`HOURS`, `DAYS` or `WEEKS`."}
    ),
    "jobs.FileArrivalTriggerConfiguration": supported(
        carried_out={
            "url": "The folder of a volume.",
            "min_time_between_triggers_seconds": "The least time between two starts.",
            "wait_after_last_change_seconds": "How long nothing more has to arrive before a start.",
        }
    ),
    "jobs.TableUpdateTriggerConfiguration": supported(
        carried_out={
            "table_names": "The tables.",
            "condition": "Whether any or all of them have to change.",
            "min_time_between_triggers_seconds": "The least time between two starts.",
            "wait_after_last_change_seconds": "How long nothing more has to change before a start.",
        }
    ),
    "jobs.Continuous": supported(
        carried_out={"pause_status": "`PAUSED` starts none."},
        refused={"task_retry_mode": Support("refused", "Use `max_retries` of the tasks.", ("NEVER",))},
    ),
    "jobs.JobEmailNotifications": supported(
        carried_out={
            **_NOTIFICATIONS,
            "no_alert_for_skipped_runs": "Skipped runs are left out.",
        },
        no_effect=_NO_NOTIFICATIONS,
    ),
    "jobs.WebhookNotifications": supported(carried_out=_NOTIFICATIONS, no_effect=_NO_NOTIFICATIONS),
    "jobs.JobNotificationSettings": supported(
        carried_out={
            "no_alert_for_canceled_runs": "Canceled runs are left out.",
            "no_alert_for_skipped_runs": "Skipped runs are left out.",
        }
    ),
    "jobs.Task": _TASK,
    "jobs.TaskDependency": supported(
        carried_out={
            "task_key": "The task that comes before.",
            "outcome": "The result that a condition task must have.",
        }
    ),
    "compute.Library": supported(
        carried_out={"whl": "A wheel."},
        no_effect={
            "pypi": "Packages are those that are installed here; a missing one fails the import.",
            "requirements": "Packages are those that are installed here; a missing one fails the import.",
        },
        refused={"cran": "R is not run here.", "egg": "Build a wheel.", "jar": _JAVA, "maven": _JAVA},
    ),
    "jobs.ConditionTask": supported(
        carried_out={"op": "The comparison.", "left": "The left value.", "right": "The right value."}
    ),
    "jobs.ForEachTask": supported(
        carried_out={
            "inputs": "The values, a JSON array.",
            "concurrency": "How many run at a time.",
            "task": _parts("jobs.Task", "What is repeated."),
        }
    ),
    "jobs.NotebookTask": supported(
        carried_out={
            "notebook_path": "The notebook.",
            "base_parameters": "The values of its widgets.",
        },
        no_effect={"warehouse_id": "SQL runs in the task's Spark session."},
        refused={"source": _source()},
    ),
    "jobs.PipelineTask": supported(
        carried_out={
            "pipeline_id": "The pipeline.",
            "full_refresh": "Whether every table is emptied and computed again.",
            "full_refresh_selection": "The tables that are emptied and computed again.",
            "refresh_selection": "The only tables that are updated.",
        },
        refused={
            "parameters": "Use the pipeline's `configuration`.",
            "refresh_flow_selection": "Use `refresh_selection`, with names of tables.",
            "reset_checkpoint_selection": "Use `full_refresh_selection`.",
        },
    ),
    "jobs.PythonWheelTask": supported(
        carried_out={
            "package_name": "The package.",
            "entry_point": "The function of it.",
            "parameters": "Its arguments.",
            "named_parameters": "Its arguments as `--name=value`.",
        }
    ),
    "jobs.RunJobTask": supported(
        carried_out={
            "job_id": "The job.",
            "job_parameters": "Values of its parameters.",
        },
        refused=dict.fromkeys(
            (
                "dbt_commands", "jar_params", "notebook_params", "pipeline_params", "python_named_params",
                "python_params", "spark_submit_params", "sql_params",
            ),
            "Use `job_parameters`.",
        ),
    ),
    "jobs.SparkPythonTask": supported(
        carried_out={
            "python_file": "The script.",
            "parameters": "Its arguments.",
        },
        refused={"source": _source()},
    ),
}  # fmt: skip
