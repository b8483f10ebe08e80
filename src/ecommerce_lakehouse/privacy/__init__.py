"""Erases people from the lakehouse and proves it.

`people` says what belongs to a person, `scan` looks for them in every file, `erasure` is one request from its
start to its proof, and `place` what it needs from the laptop or from Databricks. `docs/privacy.md` shows how.
"""
