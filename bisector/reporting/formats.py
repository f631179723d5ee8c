"""The formats in which a result can be told: which there are, and what makes each.

Invariant: only the modules of the format that was asked for are imported; what it needs beyond the
tool's own dependencies is asked for by name, before the work if possible (`require`).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bisector.errors import UsageError

if TYPE_CHECKING:
    from bisector.evidence import Evidence
    from bisector.schema import Summary

FORMATS = ("text", "json", "md", "html", "speedscope")
TEXT, HTML = "text", "html"
_NEEDED = {"jinja2": "Jinja2", "plotly": "plotly"}


def require(name: str, option: str) -> None:
    """See that a format can be made here.

    Raises:
        UsageError: what it needs is not installed; ``option`` is what asked for it.
    """
    missing = [title for module, title in _NEEDED.items() if find_spec(module) is None]
    if name == HTML and missing:
        raise UsageError(
            f"{option} needs {' and '.join(missing)}, not installed here; "
            f"pip install {' '.join(missing)} (the extra html of speedbump-bisect)"
        )


def rendered(name: str, summary: Summary, evidence: Callable[[], Evidence]) -> str:
    """The result in a format; ``evidence`` is asked for where that needs more than the summary."""
    match name:
        case "json":
            return _visible_json(summary.model_dump_json(indent=2)) + "\n"
        case "md":
            from bisector.reporting.markdown import markdown

            return markdown(summary)
        case "html":
            from bisector.reporting.html.document import html

            return html(evidence())
        case "speedscope":
            from bisector.reporting.speedscope import speedscope

            return speedscope(evidence())
        case _:
            return _text(summary)


def _visible_json(text: str) -> str:
    """The same document with what cannot be seen, or turns what stands beside it round, as escapes
    of JSON: it may be printed on a terminal."""
    return re.sub(
        r"[^\x00-\x7e]", lambda c: c[0] if c[0].isprintable() else json.dumps(c[0])[1:-1], text
    )


def _text(summary: Summary) -> str:
    from rich.console import Console

    from bisector.reporting.terminal import render

    stream = io.StringIO()
    render(summary, Console(file=stream))
    return stream.getvalue()
