"""Writes the published JSON Schema beside this file; run it with ``python -m``."""

from __future__ import annotations

import json
from pathlib import Path

from bisector.schema import json_schema

PATH = Path(__file__).with_name("summary.schema.json")


def write() -> None:
    """Bring the schema file up to date with the models."""
    PATH.write_text(json.dumps(json_schema(), indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    write()
