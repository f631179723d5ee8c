"""Native callables: what they are called, and how long one answer about them holds.

A native callable is what a CALL instruction calls that is no Python function: a function or a type
of C, a method of one, a ufunc, an object with a ``__call__`` of its own. Its target is
``module:qualname`` like any other. A method is called after the class that defines it, bound or
not, and whatever inherits it: ``builtins:list.append``. An object that its module does not have
under its own name is one of its type (``functools:partial``), and so is one that wraps a Python
function, which is a target by itself.

What an operator does (``a @ b``) is no call, and belongs to the function that it is in.

Invariant: nothing of the program's runs here. Only what the interpreter itself, C code or a plain
attribute says is asked for; no property, no ``__getattr__``, no import.
"""

from __future__ import annotations

import sys
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .tracker import DelaySpec, NativeAnswer

BY_OBJECT, BY_TYPE, NOT_AT_ALL = range(3)
"""How to remember an answer: it holds for this object (a C function: bound to whatever), for all
objects of its type that are not known by themselves, or for this once, as the object may be gone
tomorrow and another be in its place."""

_DESCRIPTORS = (MethodDescriptorType, ClassMethodDescriptorType, WrapperDescriptorType)
_HEAP_TYPE = 1 << 9
"""``__flags__`` of types that can go away."""


class Natives:
    """The ``native`` of a tracker. ``describe(name)`` says what is known of a name: a number, 0 for
    no target, and what it is wherever it is called, if anything."""

    def __init__(self, describe: Callable[[str], tuple[int, DelaySpec | None]]) -> None:
        self._describe = describe
        self._known: dict[str, tuple[int, DelaySpec | None]] = {}
        self._kept: list[object] = []
        """What is remembered by itself must stay what it is."""

    def __call__(self, called: object) -> NativeAnswer:
        """What a native callable is."""
        name, how, kept = identify(called)
        if kept is not None:
            self._kept.append(kept)
        if name is None:
            return (how, 0, None)
        known = self._known.get(name)
        if known is None:
            known = self._known.setdefault(name, self._describe(name))
        return (how, *known)


def identify(called: Any) -> tuple[str | None, int, object]:
    """(``module:qualname``, or None for what is Python after all; how to remember that; what has to
    be kept alive for it, or None)."""
    kind = type(called)  # and not what it says of itself
    if issubclass(kind, BuiltinFunctionType):
        return _name_of_function(called), BY_OBJECT, None
    if issubclass(kind, _DESCRIPTORS):  # of one C function, or living as long as their class
        return _name_of_method(called.__objclass__, called.__name__), BY_OBJECT, None
    if issubclass(kind, MethodWrapperType):
        return _name_of_method(called.__objclass__, called.__name__), NOT_AT_ALL, None
    if issubclass(kind, MethodType):  # of something that is no Python function
        return identify(called.__func__)
    if issubclass(kind, type):
        return _identify_type(called)
    if isinstance(_defined(kind, "__call__"), FunctionType):
        return (None, *_of_type(kind))
    name = _plain(called, "__name__")
    if not isinstance(name, str):
        return (_name_of_type(kind), *_of_type(kind))
    if isinstance(_plain(called, "__wrapped__"), FunctionType):
        if _is_there(called, _plain(called, "__module__"), _plain(called, "__qualname__")):
            return _name_of_type(kind), BY_OBJECT, called
        return _name_of_type(kind), NOT_AT_ALL, None
    for module in (_plain(called, "__module__"), kind.__module__):
        for qualname in (_plain(called, "__qualname__"), name):
            if _is_there(called, module, qualname):
                return f"{module}:{qualname}", BY_OBJECT, called
    return _name_of_type(kind), NOT_AT_ALL, None


def _name_of_function(called: Any) -> str:
    owner = called.__self__
    if owner is None or isinstance(owner, ModuleType):
        return f"{called.__module__ or 'builtins'}:{called.__qualname__}"
    return _name_of_method(owner if isinstance(owner, type) else type(owner), called.__name__)


def _name_of_method(owner: type, name: str) -> str:
    """After the class that defines it."""
    for base in type.__dict__["__mro__"].__get__(owner):
        if name in type.__dict__["__dict__"].__get__(base):
            owner = base
            break
    return f"{_name_of_type(owner)}.{name}"


def _name_of_type(kind: type) -> str:
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    return f"{module if isinstance(module, str) else 'builtins'}:{name}"


def _identify_type(called: type) -> tuple[str | None, int, object]:
    """A class is Python's if making an object of it runs Python code."""
    python = any(
        isinstance(_defined(*where), (FunctionType, staticmethod))
        for where in ((called, "__init__"), (called, "__new__"), (type(called), "__call__"))
    )
    how, kept = _of_type(called)
    name = None if python else _name_of_type(called)
    return name, NOT_AT_ALL if how == NOT_AT_ALL else BY_OBJECT, kept


def _of_type(kind: type) -> tuple[int, object]:
    """How to remember what holds for all objects of a type: a type may go, too."""
    if not kind.__flags__ & _HEAP_TYPE:
        return BY_TYPE, None
    module = type.__getattribute__(kind, "__module__")
    name = type.__getattribute__(kind, "__qualname__")
    return (BY_TYPE, kind) if _is_there(kind, module, name) else (NOT_AT_ALL, None)


def _defined(kind: type, name: str) -> object:
    """What a class or the first of its bases that has it calls ``name``."""
    for base in type.__dict__["__mro__"].__get__(kind):
        found = type.__dict__["__dict__"].__get__(base).get(name)
        if found is not None:
            return found
    return None


def _plain(called: object, name: str) -> object:
    """An attribute that no code of the program's makes up; None if there is none."""
    if isinstance(_defined(type(called), name), property):
        return None
    try:
        return object.__getattribute__(called, name)
    except Exception:
        return None


def _is_there(called: object, module: object, qualname: object) -> bool:
    """Whether a module has the object under this name."""
    if not isinstance(module, str) or not isinstance(qualname, str):
        return False
    holder = sys.modules.get(module)
    if not isinstance(holder, ModuleType):
        return False
    found: object = None
    space: Any = vars(holder)
    for part in qualname.split("."):
        found = space.get(part) if space is not None else None
        space = type.__dict__["__dict__"].__get__(found) if isinstance(found, type) else None
    return found is called
