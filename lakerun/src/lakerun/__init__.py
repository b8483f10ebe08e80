"""Runs a Databricks bundle whole on one machine."""

__version__ = "0.1.0"
