"""Rates that programs print, in the forms that benchmarks usually use.

    123.4 tokens/s    1,234.5 it/s    1.2e5 ops/sec    3.4k items/second    12 requests per second
    throughput: 123.4    Throughput (req/s): 12.3    tokens/s = 123    "tokens_per_second": 123

A number counts only together with a unit per second or with a name that is a rate; ``2.5 s/it``, a
lone number or a size are not rates. What is called the **label** is the name before the number on
its line, without digits, so that the same line is found again in another run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = (
    r"(?<![\w.])[+-]?(?:(?:\d{1,3}(?:[,_]\d{3})+|\d+)?(?:\.\d+|(?<=\d)\.?)(?:[eE][+-]?\d+)?"
    r"|nan\b|inf(?:inity)?\b)"
)
_SECOND = r"(?:seconds?|secs?|s)\b"
_THING = r"[A-Za-z][A-Za-z_-]*"
_RATE_NAME = (
    rf"(?:{_THING}\s*/\s*{_SECOND}|{_THING}[ _]per[ _]{_SECOND}"
    r"|(?:[A-Za-z]+[ _-])*throughput|(?:qps|rps|tps|fps|iops)\b)"
)

_WITH_UNIT = re.compile(
    rf"(?P<number>{_NUMBER})(?P<suffix>[kKMG](?=\s))?\s*"
    rf"(?P<thing>{_THING})(?:\s*/\s*|\s+per\s+|_per_)(?P<second>{_SECOND})",
)
_WITH_NAME = re.compile(
    rf"(?<![A-Za-z_])(?P<name>{_RATE_NAME})['\"]?\s*"
    rf"(?:[\[(](?P<unit>[^()\[\]]{{1,30}})[\])])?['\"]?\s*(?::|=|\bis\b|\s)\s*(?P<number>{_NUMBER})(?P<suffix>[kKMG]\b)?(?!\s*{_THING}\s*/)",
    re.IGNORECASE,
)
_LABEL = re.compile(r"([A-Za-z][A-Za-z _/-]*)['\"]?\s*[:=]?\s*$")
_SCALES = {"k": 1e3, "m": 1e6, "g": 1e9}
_LONGEST_LINE = 2_000


@dataclass(frozen=True, slots=True)
class Rate:
    """A printed rate: its label, its unit (``tokens/s``) and its number."""

    label: str
    unit: str
    value: float


def find_rates(text: str) -> list[Rate]:
    """All rates in ``text``, in printed order; a carriage return (progress bars) ends a line."""
    rates = []
    for line in re.split(r"[\r\n]+", text):
        if len(line) > _LONGEST_LINE:
            line = line[-_LONGEST_LINE:]
        if any(character.isdigit() for character in line) or "nan" in line or "inf" in line:
            rates += _in_line(line)
    return rates


def _in_line(line: str) -> list[Rate]:
    rates: list[tuple[int, Rate]] = []
    taken: set[int] = set()
    for match in _WITH_UNIT.finditer(line):
        thing = match["thing"]
        if thing.lower() in ("s", "sec", "second", "seconds"):
            continue
        label = _LABEL.search(line[: match.start()])
        name = label[1].strip() if label else ""
        unit = f"{thing}/s"
        taken.add(match.start("number"))
        rates.append((match.start("number"), _rate(name, unit, match)))
    for match in _WITH_NAME.finditer(line):
        if match.start("number") in taken:
            continue
        name = match["name"].strip()
        unit = _unit_of(name, match["unit"])
        rates.append((match.start("number"), _rate(name, unit, match)))
    return [rate for _, rate in sorted(rates, key=lambda pair: pair[0])]


def _rate(label: str, unit: str, match: re.Match[str]) -> Rate:
    number = float(match["number"].replace(",", "").replace("_", ""))
    suffix = match["suffix"]
    scale = _SCALES[suffix.lower()] if suffix else 1.0
    return Rate(label, unit, number * scale)


def _unit_of(name: str, bracketed: str | None) -> str:
    """The unit in a name such as ``tokens/s`` or ``requests per second``, else that in brackets."""
    per = re.match(rf"({_THING}?)(?:\s*/\s*|[ _]per[ _]){_SECOND}", name, re.IGNORECASE)
    if per:
        return f"{per[1]}/s"
    if bracketed:
        inside = re.match(rf"\s*({_THING})\s*(?:/|per)\s*{_SECOND}", bracketed, re.IGNORECASE)
        return f"{inside[1]}/s" if inside else bracketed.strip()
    things = {"qps": "queries/s", "rps": "requests/s", "tps": "transactions/s", "fps": "frames/s"}
    return things.get(name.lower(), "units/s")
