"""The effect of every setting of a pipeline and of a job here: `SETTINGS`.

The names are those of the bundle's JSON schema. A test compares both, to find new settings.
"""

from __future__ import annotations

from collections.abc import Mapping

from lakerun.bundles.support import Support, supported

_COSTS = "It is only about costs."
_DEPLOYED = "The deployment uses it."
_MACHINE = "It chooses machines; everything runs on this one."
_ONE_USER = "There is only one user, who has all permissions."
_LABEL = "It is a label."
_RECORDED = "The local workspace records the notification."
_NO_WARNINGS = "It only causes warnings; no run depends on it."
TASK_TYPES = ("python_wheel", "spark_python", "notebook", "pipeline", "condition", "run_job", "for_each")
_OTHER_KIND = f"Supported types: {', '.join(f'{kind}_task' for kind in TASK_TYPES)}."
_JAVA = "Java and Scala code cannot run here."
_GIT = "Files come from the bundle; deploy them with it."
_SPEED = "It only affects speed."


def _parts(kind: str, reason: str) -> Support:
    return Support("carried out", reason, parts=kind)


def _source(reason: str = _GIT) -> Support:
    return Support("refused", reason, ("WORKSPACE",))


_PIPELINE = supported(
    carried_out={
        "name": "The pipeline's name.",
        "catalog": "The catalog of tables without one in their name.",
        "schema": "The schema of tables without one in their name.",
        "target": "The same as `schema`.",
        "configuration": "Settings of the pipeline's Spark session, which its code reads.",
        "libraries": _parts("pipelines.PipelineLibrary", "The source files."),
        "root_path": "The folder from which source files import.",
        "environment": _parts("pipelines.PipelinesEnvironment", "The packages that source files import."),
        "event_log": _parts("pipelines.EventLogSpec", "The table in which the event log is published."),
        "development": "It is shown; updates do not depend on it.",
        "notifications": _parts("pipelines.Notifications", _RECORDED),
        "clusters": _parts("pipelines.PipelineCluster", "Only the cluster's Spark settings are used."),
        "trigger": _parts("pipelines.PipelineTrigger", "Updates are started manually or by a job."),
        "permissions": "The local workspace stores them.",
        "allow_duplicate_names": "Whether the local workspace allows a name that is in use.",
        "cascade_on_destroy": "Whether the tables are deleted with the pipeline.",
        "lifecycle": _DEPLOYED,
        "id": "The deployment sets it.",
        "deployment": _DEPLOYED,
    },
    no_effect={
        "budget_policy_id": _COSTS,
        "usage_policy_id": _COSTS,
        "channel": "The only version is the installed one.",
        "edition": "The features of every edition are available.",
        "photon": _SPEED,
        "serverless": _MACHINE,
        "serverless_compute_id": _MACHINE,
        "restart_window": "It is for continuous pipelines.",
        "run_as": _ONE_USER,
        "tags": _LABEL,
    },
    refused={
        "continuous": "Use a job with a periodic trigger or a schedule that updates the pipeline.",
        "filters": "All source files of the libraries are read.",
        "gateway_definition": "Databricks' connections to other systems are not available here.",
        "ingestion_definition": "Databricks' connections to other systems are not available here.",
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
    "init_scripts": "Init scripts do not run on this machine.",
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
        "tasks": _parts("jobs.Task", "The tasks."),
        "parameters": _parts("jobs.JobParameterDefinition", "The job's parameters and their defaults."),
        "environments": _parts("jobs.JobEnvironment", "The packages that tasks import."),
        "job_clusters": _parts("jobs.JobCluster", "Clusters to which tasks refer."),
        "timeout_seconds": "A run that takes longer is stopped.",
        "max_concurrent_runs": "The local workspace queues or skips further runs.",
        "queue": _parts("jobs.QueueSettings", "Whether further runs wait."),
        "schedule": _parts("jobs.CronSchedule", "The local workspace starts the runs."),
        "trigger": _parts("jobs.TriggerSettings", "The local workspace starts the runs."),
        "continuous": _parts("jobs.Continuous", "The local workspace starts a new run after each run."),
        "email_notifications": _parts("jobs.JobEmailNotifications", _RECORDED),
        "webhook_notifications": _parts("jobs.WebhookNotifications", _RECORDED),
        "notification_settings": _parts("jobs.JobNotificationSettings", "The notifications to leave out."),
        "permissions": "The local workspace stores them.",
        "lifecycle": _DEPLOYED,
        **dict.fromkeys(("deployment", "edit_mode", "format", "access_control_list"), _DEPLOYED),
        "run_name": "The name of a run without a job.",
        "idempotency_token": "Only the first request with it starts a run.",
    },
    no_effect={
        "budget_policy_id": _COSTS,
        "usage_policy_id": _COSTS,
        "health": _NO_WARNINGS,
        "parent_path": "It is only the folder in which Databricks lists the job.",
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
        "depends_on": _parts("jobs.TaskDependency", "The tasks that must end before it."),
        "run_if": "The results of those tasks with which the task runs.",
        "disabled": "Whether the task is skipped.",
        "max_retries": "How often a failed task is retried.",
        "min_retry_interval_millis": "The time between the starts of two attempts.",
        "retry_on_timeout": "Whether an attempt that took too long is retried.",
        "timeout_seconds": "An attempt that takes longer is stopped.",
        "environment_key": "The environment from which the task imports.",
        "libraries": _parts("compute.Library", "The packages that the task imports."),
        "job_cluster_key": "Only the cluster's Spark settings are used.",
        "new_cluster": _parts("compute.ClusterSpec", "Only the cluster's Spark settings are used."),
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
        "disable_auto_optimization": "There is no automatic optimization.",
        "email_notifications": "Only the job has notifications; its run shows each task.",
        "webhook_notifications": "Only the job has notifications; its run shows each task.",
        "notification_settings": "Only the job has notifications; its run shows each task.",
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
            "whl": "Add the wheel to the pipeline's `environment`.",
        },
    ),
    "pipelines.FileLibrary": supported(carried_out={"path": "The file."}),
    "pipelines.NotebookLibrary": supported(carried_out={"path": "The notebook."}),
    "pipelines.PathPattern": supported(carried_out={"include": "The folder, followed by `/**`."}),
    "pipelines.PipelinesEnvironment": supported(
        carried_out={"dependencies": "Wheels, folders and packages; what is missing is installed."},
        no_effect={"environment_version": "Python and its packages are those of this machine."},
    ),
    "pipelines.EventLogSpec": supported(
        carried_out=dict.fromkeys(("catalog", "schema", "name"), "A part of the table's name.")
    ),
    "pipelines.Notifications": supported(
        carried_out={
            "alerts": "The ends of an update, and failures of its flows, to notify of.",
            "email_recipients": "The recipients.",
        }
    ),
    "pipelines.PipelineTrigger": supported(
        carried_out={"manual": "It is the only option here."},
        refused={"cron": "Give a job that updates the pipeline a schedule."},
    ),
    "pipelines.PipelineCluster": supported(
        carried_out={
            "spark_conf": "Settings of the pipeline's Spark session; `configuration` comes first.",
            "label": "Clusters with `maintenance` are ignored.",
        },
        no_effect=_CLUSTER,
        refused=_CLUSTER_REFUSED,
    ),
    "resources.Job": _JOB,
    "jobs.JobParameterDefinition": supported(
        carried_out={"name": "The parameter's name.", "default": "The value if a run does not give one."}
    ),
    "jobs.JobEnvironment": supported(
        carried_out={
            "environment_key": "The name by which tasks refer to it.",
            "spec": _parts("compute.Environment", "Its packages."),
        }
    ),
    "compute.Environment": supported(
        carried_out={"dependencies": "Wheels, folders and packages; what is missing is installed."},
        no_effect={
            "client": "Python and its packages are those of this machine.",
            "environment_version": "Python and its packages are those of this machine.",
        },
        refused={"base_environment": "List its packages in `dependencies`.", "java_dependencies": _JAVA},
    ),
    "jobs.JobCluster": supported(
        carried_out={
            "job_cluster_key": "The name by which tasks refer to it.",
            "new_cluster": _parts("compute.ClusterSpec", "Only the cluster's Spark settings are used."),
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
    "jobs.QueueSettings": supported(carried_out={"enabled": "Whether the run waits; if not, it is skipped."}),
    "jobs.CronSchedule": supported(
        carried_out={
            "quartz_cron_expression": "When runs start.",
            "timezone_id": "The time zone of the schedule.",
            "pause_status": "`PAUSED` starts no runs.",
        },
        refused={"sql_condition": "Conditions are not evaluated before a run."},
    ),
    "jobs.TriggerSettings": supported(
        carried_out={
            "file_arrival": _parts("jobs.FileArrivalTriggerConfiguration", "New files in a volume."),
            "table_update": _parts("jobs.TableUpdateTriggerConfiguration", "Commits to tables."),
            "periodic": _parts("jobs.PeriodicTriggerConfiguration", "An interval."),
            "pause_status": "`PAUSED` starts no runs.",
        },
        refused={
            "model": "Models are not available here.",
            "sql_condition": "Conditions are not evaluated before a run.",
        },
    ),
    "jobs.PeriodicTriggerConfiguration": supported(
        carried_out={"interval": "The number of units.", "unit": "`HOURS`, `DAYS` or `WEEKS`."}
    ),
    "jobs.FileArrivalTriggerConfiguration": supported(
        carried_out={
            "url": "The folder of a volume.",
            "min_time_between_triggers_seconds": "The minimum time between two starts.",
            "wait_after_last_change_seconds": "The time without new files before a start.",
        }
    ),
    "jobs.TableUpdateTriggerConfiguration": supported(
        carried_out={
            "table_names": "The tables.",
            "condition": "Whether any or all of them must change.",
            "min_time_between_triggers_seconds": "The minimum time between two starts.",
            "wait_after_last_change_seconds": "The time without new changes before a start.",
        }
    ),
    "jobs.Continuous": supported(
        carried_out={"pause_status": "`PAUSED` starts no runs."},
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
            "task_key": "The task that must end before.",
            "outcome": "The required result of a condition task.",
        }
    ),
    "compute.Library": supported(
        carried_out={
            "whl": "A wheel.",
            "pypi": _parts("compute.PythonPyPiLibrary", "A package, installed if it is missing."),
            "requirements": "A file of packages, installed if they are missing.",
        },
        refused={"cran": "R cannot run here.", "egg": "Build a wheel.", "jar": _JAVA, "maven": _JAVA},
    ),
    "compute.PythonPyPiLibrary": supported(
        carried_out={"package": "The package.", "repo": "Another index to look in."}
    ),
    "jobs.ConditionTask": supported(
        carried_out={"op": "The comparison.", "left": "The left value.", "right": "The right value."}
    ),
    "jobs.ForEachTask": supported(
        carried_out={
            "inputs": "The values, a JSON array.",
            "concurrency": "The maximum number that runs in parallel.",
            "task": _parts("jobs.Task", "The task to repeat."),
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
            "full_refresh": "Whether all tables are emptied and computed again.",
            "full_refresh_selection": "The tables that are emptied and computed again.",
            "refresh_selection": "The tables to update, without others.",
        },
        refused={
            "parameters": "Use the pipeline's `configuration`.",
            "refresh_flow_selection": "Use `refresh_selection` with names of tables.",
            "reset_checkpoint_selection": "Use `full_refresh_selection`.",
        },
    ),
    "jobs.PythonWheelTask": supported(
        carried_out={
            "package_name": "The package.",
            "entry_point": "The package's function.",
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
