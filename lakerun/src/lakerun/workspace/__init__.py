"""A Databricks workspace on this machine: the part of its REST API that a bundle's users meet."""
