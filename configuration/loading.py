"""Parsing of environment variables into a Config. All mistakes are reported together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from configuration.declaration import PREFIX, Section, Setting, section_settings
from configuration.other_names import OTHER_NAMES, REPLACED, SERVER_VARIABLES, WITHOUT_EFFECT
from configuration.parsing import parse_setting
from configuration.sections import Config

_NEAR = 0.8
"""Minimum similarity of a hint, from 0 to 1. One letter in five may differ: CACHE_SECONDS suggests no LEASE_SECONDS."""


class ConfigurationError(Exception):
    """The environment has mistakes. `problems` has one sentence for each of them."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the configuration is not usable:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


def load(environ: Mapping[str, str]) -> Config:
    """Parse all TRANSCODER_* variables. An empty variable counts as not set. Raises ConfigurationError."""
    problems = list(_unknown(environ))
    sections = {name: _load_section(kind, environ, problems) for name, kind in config_sections().items()}
    config = None if problems else Config(**sections)
    if config is None or (problems := list(config.problems())):
        raise ConfigurationError(problems)
    return config


def require_secret_key(config: Config) -> None:
    """Refuse to start a process that signs tokens without a key. Raises ConfigurationError."""
    if problems := list(config.site.secret_key_problems()):
        raise ConfigurationError(problems)


def config_sections() -> dict[str, type[Section]]:
    """Return the sections of Config by name, in their order."""
    kinds = get_type_hints(Config)
    return {each.name: kinds[each.name] for each in fields(Config)}


def all_settings() -> Iterator[Setting]:
    """Yield every declared setting, in the order of declaration."""
    for section in config_sections().values():
        yield from section_settings(section)


def startup_warnings(environ: Mapping[str, str]) -> Iterator[str]:
    """Yield one sentence for each variable that is set and has no effect."""
    for variable, reason in {**WITHOUT_EFFECT, **SERVER_VARIABLES}.items():
        if environ.get(variable):
            yield f"{variable} has no effect: {reason}"


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    settings = {setting.variable: setting for setting in all_settings()}
    known = {*settings, *WITHOUT_EFFECT, *(other.variable for other in OTHER_NAMES)}
    known |= {setting.file_variable for setting in settings.values() if setting.secret}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            yield f"{name} is not a setting{_hint(name, settings)}"


def _hint(name: str, settings: Mapping[str, Setting]) -> str:
    """Suggest the most similar setting. Empty if none is similar enough: a wrong hint is worse than none."""
    if name in REPLACED:
        return f" any more: {REPLACED[name]}"
    if (plain := name.removesuffix("_FILE")) in settings and plain != name:
        return f"; only secrets are read from files, and {plain} is none"
    words = {variable.removeprefix(PREFIX): variable for variable in settings}
    close = get_close_matches(name.removeprefix(PREFIX), words, n=1, cutoff=_NEAR)
    return f"; did you mean {words[close[0]]}?" if close else ""


def _load_section(kind: type[Section], environ: Mapping[str, str], problems: list[str]) -> Any:  # noqa: ANN401 - the section is known at run time only
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for setting in section_settings(kind):
        try:
            if (value := _value(setting, environ)) is not None:
                values[setting.name] = value
        except ValueError as error:
            mistakes.append(str(error))
    section = kind(**values)
    problems += (
        mistakes or section.problems()
    )  # contradictions between values are only checked once each value is valid
    return section


def _value(setting: Setting, environ: Mapping[str, str]) -> Any | None:  # noqa: ANN401 - the declaration says the type
    """Parse a setting from the variable that is set, its own or another name. None if none is. Raises ValueError."""
    text = _read(setting, environ)
    own = parse_setting(setting, setting.variable, text) if text else None
    others = {
        other.variable: parse_setting(setting, other.variable, translated)
        for other in OTHER_NAMES
        if other.setting == setting.name
        and (given := environ.get(other.variable, ""))
        and (translated := other.translate(other.variable, given))
    }
    if not others:
        return own
    variable = min(others, key=others.__getitem__)
    if own is not None and own != others[variable]:
        raise ValueError(
            f"{variable} is another name of {setting.variable}, and they differ:"
            f" {environ[variable]!r} and {text!r}; keep one of them"
        )
    return others[variable]


def _read(setting: Setting, environ: Mapping[str, str]) -> str:
    text = environ.get(setting.variable, "")
    path = environ.get(setting.file_variable, "") if setting.secret else ""
    if text and path:
        raise ValueError(f"set either {setting.variable} or {setting.file_variable}, not both")
    if not path:
        return text
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ValueError(f"{setting.file_variable}: cannot read {path}: {reason}") from error
