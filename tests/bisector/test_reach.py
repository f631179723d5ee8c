"""CPU time of processes that nothing attached to: what those that we were in did not take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bisector.reach import is_runner, work_elsewhere
from injector.ledger import Ledger
from injector.records import ProcessRecord, read_records


def process(cpu_s: float | None, *imports: str) -> ProcessRecord:
    """One that took so much, and None if it was killed."""

    class Said:
        def __init__(self, kind: str, **fields: Any) -> None:
            self.kind, self.fields = kind, fields

    said = [Said("import", module=module) for module in imports]
    if cpu_s is not None:
        said.append(Said("end", cpu_ns=cpu_s * 1e9))
    return ProcessRecord({}, said)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cpu_s", "own", "share"),
    [
        (10.0, [1.0], "90%"),
        (10.0, [1.0, 6.0], "30%"),
        (10.0, [1.0, 8.0], None),
        (0.1, [0.03], None),  # interpreters that end
        (10.0, [1.0, None], None),  # who knows what the killed one took
        (10.0, [], None),
    ],
)
def test_what_nobody_attached_to_took_is_said(
    cpu_s: float, own: list[float | None], share: str | None
) -> None:
    said = work_elsewhere(cpu_s, [process(each) for each in own])
    assert (said and said.split()[0]) == share


def test_a_runner_is_known_by_its_import() -> None:
    assert is_runner([process(1.0, "json", "pyperf")])
    assert not is_runner([process(1.0, "json")])


def test_a_process_says_at_its_end_what_it_took(tmp_path: Path) -> None:
    ledger = Ledger(str(tmp_path), {})
    assert read_records(tmp_path)[0].cpu_s is None
    ledger.detached()
    cpu_s = read_records(tmp_path)[0].cpu_s
    assert cpu_s is not None
    assert cpu_s > 0.0
