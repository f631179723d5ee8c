"""The commands, one file each: see `bisector.cli` for what a command module provides."""
