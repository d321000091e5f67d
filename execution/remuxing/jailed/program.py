"""Program of a remux process: `python -I -S -B program.py DESCRIPTOR FOLDER_OF_AV`.

It sees neither our other code nor other packages: it loads its own package and PyAV from the folders that it is given.
"""

import importlib.util
import os
import socket
import sys
import types


def main() -> None:
    """Load what is needed, and serve the inherited socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in ("execution", "execution.remuxing"):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []
    _load("execution.remuxing.jailed", os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - starts fast
    _load("av", sys.argv[2])

    import av.logging

    from execution.remuxing.jailed.serving import Server

    av.logging.set_libav_level(av.logging.PANIC)
    try:
        Server(control).serve()
    finally:
        os._exit(0)  # threads of streams may be inside FFmpeg


def _load(name: str, folder: str) -> None:
    """Import a package from a folder; no folder above it can be listed."""
    spec = importlib.util.spec_from_file_location(
        name,
        f"{folder}/__init__.py",
        submodule_search_locations=[folder],
    )
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


if __name__ == "__main__":
    main()
