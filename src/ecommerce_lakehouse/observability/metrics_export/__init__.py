"""Copies pipeline and business metrics from the event logs and gold tables to PostgreSQL.

`export.export_metrics` brings a database up to date; `job.main` does so as a task that never fails a job.
Nothing is imported here, because the driver is not needed where no database is configured.
"""
