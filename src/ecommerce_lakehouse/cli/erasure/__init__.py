"""Erases people from a data folder: every version of its tables, the engine's state, raw files and logs."""
