"""Metrics of pipelines and of the business, copied from the event logs and gold tables to PostgreSQL.

`export.export_metrics` brings a database up to date; `job.main` is the same as a task that never fails a job.
Nothing is imported here: where no database is configured, the driver is not needed.
"""
