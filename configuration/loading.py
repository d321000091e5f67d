"""From environment variables to a Config, with every mistake reported at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_type_hints

from configuration.declaration import PREFIX, Section, Setting, section_settings
from configuration.sections import Config

WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class ConfigurationError(Exception):
    """The environment does not make a configuration; `problems` has one sentence for each mistake."""

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


def config_sections() -> dict[str, type[Section]]:
    """The sections of Config by name, in their order."""
    kinds = get_type_hints(Config)
    return {each.name: kinds[each.name] for each in fields(Config)}


def all_settings() -> Iterator[Setting]:
    """Every declared setting, in the order of declaration."""
    for section in config_sections().values():
        yield from section_settings(section)


def _unknown(environ: Mapping[str, str]) -> Iterator[str]:
    known = {setting.variable for setting in all_settings()}
    known |= {setting.file_variable for setting in all_settings() if setting.secret}
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            close = get_close_matches(name, known, n=1)
            yield f"{name} is not a setting" + (f"; did you mean {close[0]}?" if close else "")


def _load_section(kind: type[Section], environ: Mapping[str, str], problems: list[str]) -> Any:  # noqa: ANN401 - which section it is is known at run time only
    values: dict[str, Any] = {}
    mistakes: list[str] = []
    for setting in section_settings(kind):
        try:
            text = _read(setting, environ)
            if text:
                values[setting.name] = _parse(setting, text)
        except ValueError as error:
            mistakes.append(str(error))
    section = kind(**values)
    problems += mistakes or section.problems()  # what is wrong between values shows once each value is right
    return section


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


def _parse(setting: Setting, text: str) -> Any:  # noqa: ANN401 - the declaration says the type
    if setting.kind is bool:
        return _parse_bool(setting, text)
    if setting.kind in (int, float):
        return _parse_number(setting, text)
    if setting.kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if setting.choices and text not in setting.choices:
        raise ValueError(f"{setting.variable} must be one of {', '.join(setting.choices)}, got {text!r}")
    return text


def _parse_bool(setting: Setting, text: str) -> bool:
    if text.lower() not in WORDS:
        raise ValueError(f"{setting.variable} must be true or false, got {text!r}")
    return WORDS[text.lower()]


def _parse_number(setting: Setting, text: str) -> float:
    try:
        value: float = setting.kind(text)
    except ValueError:
        noun = "a whole number" if setting.kind is int else "a number"
        raise ValueError(f"{setting.variable} must be {noun}, got {text!r}") from None
    if setting.minimum is not None and not value >= setting.minimum:  # so that nan is refused too
        raise ValueError(f"{setting.variable} must be at least {setting.minimum}, got {text}")
    if setting.maximum is not None and not value <= setting.maximum:
        raise ValueError(f"{setting.variable} must be at most {setting.maximum}, got {text}")
    return value
