"""The laptop's Lakeflow: runs the bundle's pipelines and jobs on local Spark and Delta."""
