"""What all tests share: Ctrl-C works here even where the tests were started in the background; and
what depends on real clocks is tried up to three times."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

REAL = "process", "investigation", "crowd"
INJECTOR = Path(__file__).parent / "injector"


def pytest_configure() -> None:
    """A shell starts background jobs with SIGINT ignored, which their children inherit."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A machine that others share takes the processor away at any moment, and what is measured just
    then is not what the code does. The summary names each test that was repeated."""
    for item in items:
        if INJECTOR in item.path.parents or any(map(item.get_closest_marker, REAL)):
            item.add_marker(pytest.mark.flaky(reruns=2))
