"""The `lakehouse` command as the tests call it: `lakehouse`."""

from __future__ import annotations

from unit.command_line import CommandLine

from ecommerce_lakehouse.cli.main import command_line

lakehouse = CommandLine(command_line)
