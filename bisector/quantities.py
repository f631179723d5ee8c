"""Fractions and times as people write them: ``5%`` or ``0.05``, ``2h``, ``1h30m``, ``10us``.

A time always has its unit: a bare ``600`` could be seconds, minutes or nanoseconds and is refused
rather than guessed (``0`` needs none). Parsers raise ``ValueError`` with half a sentence that a
caller completes with the name of the option.
"""

from __future__ import annotations

import re

SECONDS_PER_UNIT = {
    "h": 3600.0,
    "m": 60.0,
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
}
"""Units of time, largest first. ``min`` and ``µs`` are read as well."""

_SPELLINGS = {"min": "m", "µs": "us", "μs": "us"}
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_PART = re.compile(rf"({_NUMBER})\s*(min|ms|us|µs|μs|ns|h|m|s)\s*", re.IGNORECASE)
_FRACTION = re.compile(rf"({_NUMBER}(?:e[+-]?\d+)?)\s*(%?)", re.IGNORECASE)


def parse_time(text: str) -> float:
    """Seconds in a time such as ``2h``, ``90s``, ``1h30m``, ``250ms`` or ``10us``.

    Raises:
        ValueError: not a time, or without a unit.
    """
    stripped = text.strip()
    if re.fullmatch(r"0+(\.0*)?", stripped):
        return 0.0
    seconds, position, previous = 0.0, 0, float("inf")
    for part in _PART.finditer(stripped):
        unit = part[2].lower()
        scale = SECONDS_PER_UNIT[_SPELLINGS.get(unit, unit)]
        if part.start() != position or scale >= previous:
            break
        seconds += float(part[1]) * scale
        position, previous = part.end(), scale
    if not stripped or position != len(stripped):
        if re.fullmatch(_NUMBER, stripped):
            raise ValueError(
                f"{text!r} has no unit (write {stripped}s, {stripped}ms or {stripped}us)"
            )
        raise ValueError(f"{text!r} is not a time (write 90s, 1h30m, 250ms or 10us)")
    return seconds


def format_time(seconds: float) -> str:
    """The shortest usual writing of a time in seconds; `parse_time` reads it back."""
    if seconds >= 60 and seconds == int(seconds):
        whole = int(seconds)
        parts = ((whole // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s"))
        return "".join(f"{count}{unit}" for count, unit in parts if count)
    for unit, scale in SECONDS_PER_UNIT.items():
        if seconds >= scale and (unit not in "hm"):
            return f"{_plain(seconds / scale)}{unit}"
    return f"{_plain(seconds * 1e9)}ns" if seconds else "0s"


def parse_fraction(text: str) -> float:
    """The fraction in ``5%`` or ``0.05`` (both 0.05).

    Raises:
        ValueError: not a fraction.
    """
    match = _FRACTION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a fraction (write 5% or 0.05)")
    value = float(match[1])
    return value / 100 if match[2] else value


def format_fraction(fraction: float) -> str:
    """A fraction as a percentage; `parse_fraction` reads it back."""
    return f"{_plain(fraction * 100)}%"


def _plain(value: float) -> str:
    """A number without exponent, with at most 12 significant digits and no trailing zeros."""
    text = f"{value:.12g}"
    if "e" in text:
        text = f"{value:.20f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
