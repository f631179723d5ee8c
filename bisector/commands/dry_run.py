"""``--dry-run``: an investigation up to its search, and what the rest of it will cost."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bisector.commands.outlets import STANDARD_OUTPUT, Outlets, write_file
from bisector.commands.presentation import watched

if TYPE_CHECKING:
    from bisector.engine import Engine
    from bisector.observations import RunRequest
    from bisector.settings import Settings


def dry_run(settings: Settings, options: argparse.Namespace) -> int:
    """Tell the outlook, or the answer where it is there already; returns the exit code."""
    from bisector.outlook import is_known, outlook
    from bisector.session import begin

    outlets = Outlets.of(options)
    functions, cv = 0, 0.0

    def pause(request: RunRequest, engine: Engine) -> bool:
        nonlocal functions, cv
        if not is_known(request, engine.lab):
            return False
        functions, cv = len(engine.lab.everything), engine.lab.baseline.fit().sigma
        return True

    summary = watched(lambda listeners: begin(settings, listeners, pause), settings, options)
    said = outlook(summary, functions, cv)
    if said is None:
        return outlets.tell(summary, Path(summary.run_directory))
    document = said.model_dump_json(indent=2) + "\n"
    if options.json == STANDARD_OUTPUT:
        sys.stdout.write(document)
        return 0
    if options.json is not None:
        write_file("--json", options.json, document, Path(summary.run_directory))
    from rich.console import Console

    from bisector.reporting.outlook_text import render

    render(said, Console(no_color=options.no_color or None))
    return 0
