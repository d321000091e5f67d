"""Declaration of settings: dataclass fields with limits and a help text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Protocol, TypeVar, get_type_hints

PREFIX = "TRANSCODER_"
KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

T = TypeVar("T")


class Section(Protocol):
    """A frozen dataclass of settings. `problems` yields one sentence for each contradiction between its values."""

    def problems(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One declared setting, for the loader and the documentation."""

    name: str
    kind: type
    default: Any
    help: str
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]
    secret: bool

    @property
    def variable(self) -> str:
        """Name of the environment variable."""
        return PREFIX + self.name.upper()

    @property
    def file_variable(self) -> str:
        """Name of the variable with the path of a file that contains the value; for secrets only."""
        return self.variable + "_FILE"


def setting(  # noqa: PLR0913 - each argument is one property of a setting
    default: T,
    *,
    help: str,  # noqa: A002 - argparse and other libraries use this word
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> T:
    """Declare a field of a section: its default, its limits, and one sentence for the documentation."""
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "secret": secret}
    declared: T = field(default=default, repr=not secret, metadata=metadata)
    return declared


def section_settings(section: type) -> tuple[Setting, ...]:
    """Return the settings of one section, in the order of their declaration."""
    kinds = get_type_hints(section)
    return tuple(
        Setting(name=each.name, kind=kinds[each.name], default=each.default, **each.metadata)
        for each in fields(section)
        if each.default is not MISSING
    )
