"""Signs of waiting: for a device, for another thread or process, for a lock, for the network.

Invariant: a call counts by what it can only be, or by what the measurement says. ``.get()`` without
an argument is no dictionary's, ``.join()`` without one no string's; ``.item()`` waits for a device
only in a file that imports something which has devices. A bare ``.get()`` may be a context
variable's: what waits for certain, or says how long, is more telling.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from bisector.hints.scope import Scope, Sign, called, dotted, method, named, sign

HAS_DEVICES = frozenset({"torch", "cupy", "jax", "tensorflow", "paddle", "mxnet"})

_TO_HOST = frozenset({"item", "tolist", "numpy", "cpu"})
_SYNCHRONIZE = frozenset({"synchronize", "block_until_ready"})

_WAITS = {
    "get": "waits until there is something to get",
    "recv": "waits until the other side has sent something",
    "recv_bytes": "waits until the other side has sent something",
    "accept": "waits until somebody connects",
    "result": "waits until that is done",
    "join": "waits until that has ended",
    "wait": "waits until something else is done",
    "communicate": "waits until the other process has ended",
}
"""Methods that wait when they are called without arguments, or with a timeout."""

_WAITING_FUNCTIONS = {
    "time.sleep": "sleeps for a given time, whether or not there is something to do",
    "select.select": "waits until something can be read or written",
    "subprocess.run": "starts a process and waits until it has ended",
    "subprocess.call": "starts a process and waits until it has ended",
    "subprocess.check_call": "starts a process and waits until it has ended",
    "subprocess.check_output": "starts a process and waits until it has ended",
    "concurrent.futures.wait": "waits until others are done",
    "urllib.request.urlopen": "waits for the answer of a server",
}

_LOCK = re.compile(r"(?:^|_|(?<=[a-z])(?=[A-Z]))(?i:r?lock|mutex|semaphore|condition)_*$")
"""A name that is such a word, or ends with one: a clock, or a block of code, does not."""


def synchronisation(scope: Scope) -> Iterator[Sign]:
    """Where the host waits for a device."""
    with_devices = any(name.partition(".")[0] in HAS_DEVICES for name in scope.imports.values())
    for call, loops, _ in scope.calls:
        name, rank = method(call), 0 if loops else 1
        if call.args or call.keywords:
            continue
        if name in _SYNCHRONIZE or scope.means(call.func).endswith(".synchronize"):
            text = "waits until the device has done everything that it was given"
        elif name in _TO_HOST and (with_devices or name == "cpu"):
            text = "waits for the device, if that is where the data is, and copies them to the host"
        else:
            continue
        yield sign("synchronisation", call, f"{named(called(call))} {text}", rank)


def waits(scope: Scope) -> Iterator[Sign]:
    """Where it waits for something else than a device or a lock."""
    for call, _, _ in scope.calls:
        name = method(call)
        text = _WAITING_FUNCTIONS.get(scope.means(call.func))
        if text is None and name in _WAITS and _only_says_how_long(call, name):
            text = _WAITS[name]
        if text is not None:
            is_sure = scope.means(call.func) in _WAITING_FUNCTIONS or call.keywords
            yield sign("waiting", call, f"{named(called(call))} {text}", 0 if is_sure else 1)


def locks(scope: Scope) -> Iterator[Sign]:
    """Where it may have to wait for others to let go of a lock."""
    for node, _, _ in scope.placed:
        if isinstance(node, ast.With):
            for item in node.items:
                name = dotted(item.context_expr)
                if _LOCK.search(name.rpartition(".")[2]):
                    yield sign("lock", node, f"waits while others hold {named(name)}", 0)
    for call, _, _ in scope.calls:
        if method(call) == "acquire" and called(call) and not _only_tries(call):
            yield sign("lock", call, f"{named(called(call))} waits while others hold it", 0)


def _only_says_how_long(call: ast.Call, name: str) -> bool:
    """Whether its arguments are none, or a timeout."""
    if any(keyword.arg not in ("timeout", "block") for keyword in call.keywords):
        return False
    if any(isinstance(k.value, ast.Constant) and k.value.value == 0 for k in call.keywords):
        return False
    if name in ("recv", "recv_bytes"):
        return len(call.args) <= 1
    return not call.args


def _only_tries(call: ast.Call) -> bool:
    """Whether an ``acquire`` comes back at once."""
    given = [*call.args[:1], *(k.value for k in call.keywords if k.arg in ("blocking", "block"))]
    return any(isinstance(value, ast.Constant) and not value.value for value in given)
