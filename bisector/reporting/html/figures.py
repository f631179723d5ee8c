"""Figures as plotly understands them, without data of their own and without colours.

Colours are names of the page's style (``--sensitive``), which its script looks up when it draws,
so that light, dark and print have one place where they are chosen. Invariant: every text in a
figure has been through `shown`: plotly knows some HTML, which names must not be taken for.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from bisector.wording import visible

Figure = dict[str, Any]
"""``data`` and ``layout``; see https://plotly.com/javascript/reference/."""

BREAK = "<br>"


def shown(text: str) -> str:
    """A text for plotly that is shown as it is: it knows some tags, and TeX between ``$``."""
    return html.escape(visible(text), quote=False).replace("$", "&#36;")


def lines(texts: Sequence[str]) -> str:
    """Several, one below the other."""
    return BREAK.join(shown(text) for text in texts if text)


def rounded(value: float) -> float:
    """With as many digits as can be seen."""
    return float(f"{value:.5g}")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis that stays as it is, also under a finger that scrolls."""
    return {
        "title": {"text": shown(title), "standoff": 8},
        "fixedrange": True,
        "gridcolor": "--line",
        "zerolinecolor": "--line-strong",
        "automargin": True,
        **more,
    }


def figure(traces: Sequence[Mapping[str, Any]], height: int, **layout: Any) -> Figure:
    """A figure on the page's background, in its letters."""
    base = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "--text", "size": 13},
        "hoverlabel": {
            "bgcolor": "--raised",
            "bordercolor": "--line-strong",
            "font": {"color": "--text"},
            "align": "left",
        },
        "dragmode": False,
        "showlegend": False,
    }
    return {"data": list(traces), "layout": base | layout}
