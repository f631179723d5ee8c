"""JSON without the ``json`` package, which costs every target 6 ms: it imports ``re`` and ``enum``.

Only its C half is used, as the package itself uses it. That also keeps the writing side free of
Python functions that the program under watch may share: a fork hook writes while it is watched, and
code that the program has never called must not be seen in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def _c_half() -> tuple[Callable[[Any], bytes], Callable[[str], Any]]:
    """Raises ImportError where an interpreter has no ``_json``."""
    from _json import encode_basestring_ascii, make_encoder, make_scanner

    class Settings:
        """What the scanner asks for: as `json.JSONDecoder` has it by default."""

        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float
        memo: dict[str, str] = {}  # noqa: RUF012

    encoder = make_encoder(None, str, encode_basestring_ascii, None, ":", ",", False, False, True)
    settings: Any = Settings()
    scan: Any = make_scanner(settings)

    def encode(value: Any) -> bytes:
        return "".join(encoder(value, 0)).encode()

    def decode(text: str) -> Any:
        text = text.strip()
        try:
            value, end = scan(text, 0)
        except StopIteration:
            raise ValueError(f"no JSON: {text[:40]!r}") from None
        if end != len(text):
            raise ValueError(f"no JSON: {text[end : end + 40]!r} after a complete document")
        return value

    return encode, decode


def _package() -> tuple[Callable[[Any], bytes], Callable[[str], Any]]:
    import json

    def encode(value: Any) -> bytes:
        return json.dumps(value, separators=(",", ":"), default=str).encode()

    return encode, json.loads


try:
    encode, decode = _c_half()
except ImportError:
    encode, decode = _package()
