"""Benchmarks of the engine. Run as modules from the project's folder; see README.md."""
