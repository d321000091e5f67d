"""Parts of the janitor and of the dispatcher that belong to packages above this one.

They add them when their application is ready.
"""

from collections.abc import Callable

MORE_PARTS: list[Callable[[], object]] = []
"""Each is safe when two processes run it at once, and bounded."""

MORE_WATCHES: list[Callable[[], object]] = []
"""Parts of each tick of the dispatcher: as safe and as bounded."""
