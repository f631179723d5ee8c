"""What a discovery has seen: names for code, sites, calls between functions, threads and imports.

Invariant: each is announced in the ledger once, before anything is counted in its slot. Code that
is made again and again (``exec``) shares a slot with its equals: same target, first line and file.
"""

from __future__ import annotations

import sys

from .ledger import SPARE
from .naming import frame_of, importer_of, is_own, running_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from .backends.contract import Backend
    from .ledger import Ledger
    from .naming import Seen
    from .natives import Natives
    from .roles import Role
    from .tracker import ObserveSpec

_GENERATOR = 0x20 | 0x80 | 0x200
"""``co_flags`` of generators, coroutines and asynchronous generators."""


class Sightings:
    """The names an Observer asks for. Every method swallows and records its own exceptions."""

    def __init__(
        self,
        plan: dict[str, Any],
        backend: Backend,
        ledger: Ledger,
        role: Role,
        seen: Seen | None = None,
    ) -> None:
        """``plan``: the plan file's JSON object."""
        self._seen = seen
        self._arms = ("call", "jump", "line") if plan["lines"] else ("call", "jump")
        self._lines: dict[int, list[tuple[int, int]]] | None = {} if plan["lines"] else None
        """By function: (where it begins, line) of its lines, the last first; None: not wanted."""
        self.native = self._natives() if plan["native"] else None
        """Says what a native callable is; None: they are no targets."""
        self._points = {plan["progress"], plan.get("begins")} - {None}
        self._backend = backend
        self._role = role
        self.ledger = ledger
        """Where things are announced; a forked child puts its own here."""
        self._functions: dict[tuple[str, int, str], int] = {}
        self._targets: dict[int, str] = {}
        self._sites: dict[tuple[int, str, int, int], int] = {}
        self._known_natives: dict[str, int] = {}
        self._edges: dict[tuple[int, int], int] = {}
        self._progress_slots: dict[tuple[str, int, str], int] = {}

    def resolve(self, code: CodeType, globals_: dict[str, Any] | None) -> ObserveSpec | None:
        """Announce a code object; None for code that is not recorded (the injector's own)."""
        try:
            if is_own(code):
                return None
            self._role.look()
            seen = self._seen
            module = seen.module_of(code, globals_) if seen else running_in(code, globals_)
            target = f"{module}:{code.co_qualname}"
            slot = self._function(target, code)
            progress = 0
            if target in self._points:
                progress = self._progress_point(target, code)
            body = code.co_name == "<module>"
            if body and _is_import(code, globals_):
                importer = None if module == "__main__" else importer_of(code)
                self.ledger.note("import", module=module, importer=importer, file=code.co_filename)
            armed = (body and module == "__main__") or self.native is not None
            return (slot, progress, armed)
        except Exception as error:
            self.ledger.error(error)
            return None

    def site(self, function: int, at: str, offset: int, native: int = 0) -> int:
        """The slot of a site; with ``native``, as a place where that native callable is called."""
        key = (function, at, offset, native)
        fields: dict[str, Any] = {"function": function, "at": at, "offset": offset}
        if native:
            fields["native"] = native
        if self._lines is not None:
            fields["line"] = self._line_of(function, at, offset)
        return self._add(self._sites, key, "site", **fields)

    def _natives(self) -> Natives:
        from .natives import Natives

        return Natives(self._native)

    def _native(self, name: str) -> tuple[int, None]:
        """The slot of a native callable; and nothing is done where it is called."""
        return self._add(self._known_natives, name, "native", target=name), None

    def _line_of(self, function: int, at: str, offset: int) -> int | None:
        """The line of a place; None for one that is not of one line."""
        if at == "line":
            return offset
        for begin, line in (self._lines or {}).get(function, ()):
            if 0 <= begin <= offset:
                return line
        return None

    def edge(self, caller: int, callee: int) -> int:
        """The slot of the calls from one function to another."""
        key = (caller, callee)
        return self._add(self._edges, key, "edge", caller=caller, callee=callee)

    def thread(self, function: int) -> int:
        """The slot of this thread, whose first known function is ``function``."""
        name = ""
        threading = sys.modules.get("threading")
        if threading is not None:
            # Not current_thread(): that would register a thread the program did not.
            active = getattr(threading, "_active", {}).get(threading.get_ident())
            name = getattr(active, "name", "")
        entry = self._targets.get(function, "")
        return self._add({}, None, "thread", entry=entry, name=str(name))

    def arm(self, code: CodeType) -> None:
        """Watch the code's calls and back-edges from now on."""
        try:
            self._backend.arm(code, self._arms)
        except Exception as error:
            self.ledger.error(error)

    def _function(self, target: str, code: CodeType) -> int:
        key = (target, code.co_firstlineno, code.co_filename)
        slot = self._add(
            self._functions,
            key,
            "function",
            target=target,
            line=code.co_firstlineno,
            file=code.co_filename,
            generator=bool(code.co_flags & _GENERATOR),
        )
        self._targets[slot] = target
        if self._lines is not None and slot not in self._lines:
            lines = [(begin, line) for begin, _, line in code.co_lines() if line is not None]
            self._lines[slot] = lines[::-1]
        return slot

    def _progress_point(self, target: str, code: CodeType) -> int:
        key = (target, code.co_firstlineno, code.co_filename)
        return self._add(self._progress_slots, key, "progress", target=target)

    def _add(self, known: dict[Any, int], key: Any, kind: str, **fields: Any) -> int:
        try:
            return self.ledger.add_once(known, key, kind, **fields)
        except Exception as error:
            self.ledger.error(error)
            return SPARE


def _is_import(code: CodeType, globals_: dict[str, Any] | None) -> bool:
    """Whether this module body runs as the module of its file."""
    if globals_ is None:
        frame = frame_of(code)
        globals_ = {} if frame is None else frame.f_globals
    return globals_.get("__file__") == code.co_filename
