"""What is left behind when the tool itself is at fault: a file with the traceback, one sentence."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path

from bisector.errors import CrashError


def crash_log(error: BaseException, directory: Path | None = None) -> CrashError:
    """Write the traceback of ``error`` and return the error that names the file.

    The file is ``crash.log`` in ``directory``, or a temporary file where that cannot be written.
    """
    text = "".join(traceback.format_exception(error))
    path = None
    if directory is not None:
        try:
            path = directory / "crash.log"
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        except OSError:
            path = None
    if path is None:
        try:
            handle, name = tempfile.mkstemp(prefix="speedbump-crash-", suffix=".log")
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
            path = Path(name)
        except OSError:
            pass
    where = f"details are in {path}" if path else "no log could be written"
    return CrashError(f"a defect of this tool: {type(error).__name__}: {error}; {where}")
