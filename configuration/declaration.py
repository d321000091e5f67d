"""How a setting is declared: an ordinary dataclass field that knows its limits and what it is for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Protocol, TypeVar, get_type_hints

PREFIX = "TRANSCODER_"

T = TypeVar("T")


class Section(Protocol):
    """A frozen dataclass of settings that can say what is wrong between its own values."""

    def problems(self) -> Iterator[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One declared setting, as the loader and the documentation see it."""

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
        """Name of the variable that holds the path of a file with the value; for secrets only."""
        return self.variable + "_FILE"


def setting(  # noqa: PLR0913 - each argument is one thing a declaration may say
    default: T,
    *,
    help: str,  # noqa: A002 - the word argparse and everybody else uses
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    secret: bool = False,
) -> T:
    """Declare a field of a section: its default, what is allowed, and one sentence for the documentation."""
    metadata = {"help": help, "minimum": minimum, "maximum": maximum, "choices": choices, "secret": secret}
    declared: T = field(default=default, repr=not secret, metadata=metadata)
    return declared


def section_settings(section: type) -> tuple[Setting, ...]:
    """All settings of one section, in the order of their declaration."""
    kinds = get_type_hints(section)
    return tuple(
        Setting(name=each.name, kind=kinds[each.name], default=each.default, **each.metadata)
        for each in fields(section)
        if each.default is not MISSING
    )
