"""The way in: Python imports this before the program when this folder leads its module path.

With ``SPEEDBUMP_BISECT`` set it loads the injector under the private name ``_speedbump_injector``
and attaches. Either way it then leaves no trace: this folder goes from `sys.path` (not from the
environment: children come in by the same way), and the `sitecustomize` that would have been
imported otherwise is imported, or is as missing as it would have been.
"""

import os
import sys


def _attach(directory: str) -> None:
    try:
        package = type(sys)("_speedbump_injector")
        package.__path__ = [os.path.dirname(_HERE)]
        sys.modules[package.__name__] = package
        __import__(package.__name__ + ".attach")
        package.attach.start(directory)
    except Exception:
        # Nothing was attached and nothing recorded: the tool sees a process without a record.
        return


def _hand_over() -> None:
    # The import system's own two modules: `importlib.util` would have to be imported.
    from _frozen_importlib import module_from_spec
    from _frozen_importlib_external import PathFinder

    sys.path[:] = [entry for entry in sys.path if not _is_here(entry)]
    spec = PathFinder.find_spec("sitecustomize")
    if spec is None or spec.loader is None:
        raise ImportError("No module named 'sitecustomize'", name="sitecustomize")
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _is_here(entry: object) -> bool:
    return isinstance(entry, str) and os.path.abspath(entry) == _HERE


_HERE = os.path.dirname(os.path.abspath(__file__))

if os.environ.get("SPEEDBUMP_BISECT"):
    _attach(os.environ["SPEEDBUMP_BISECT"])
_hand_over()
