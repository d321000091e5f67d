"""Parts of the janitor that belong to packages above this one. They add them when their application is ready."""

from collections.abc import Callable

MORE_PARTS: list[Callable[[], object]] = []
"""Each is safe when two processes run it at once, and bounded."""
