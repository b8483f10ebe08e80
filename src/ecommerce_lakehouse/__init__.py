"""An e-commerce lakehouse: the same files on Databricks and on a laptop."""

__version__ = "0.1.0"
