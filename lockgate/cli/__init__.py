"""The command line: `lockgate run | validate | schema | serve | report`."""

from lockgate.cli.app import main

__all__ = ["main"]
