"""A Databricks workspace on this machine: the part of the REST API that bundles need."""
