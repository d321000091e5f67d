"""Writes docs/configuration.md and .env.example from the declarations: `python -m configuration.document`."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

from configuration.declaration import Setting, section_settings
from configuration.loading import all_settings, config_sections
from configuration.other_names import OTHER_NAMES, WITHOUT_EFFECT

INTRODUCTION = """\
# Configuration

Written by `python -m configuration.document` from the declarations in `configuration/sections.py`; edit those.

Every process reads these environment variables once, when it starts. All mistakes are reported together and stop it;
a name that begins with `TRANSCODER_` and is not listed here is a mistake too. An empty variable counts as not set.
A *secret* can also be read from a file: put the file's path into the variable's name with `_FILE` at the end.

A plain number counts in the unit at the end of the setting's name: seconds, days, bytes, `MB` (MiB, as GPU drivers
write it). Durations may also be written `500ms`, `90s`, `5m`, `1h30m` or `2d`, and sizes `10MiB` (10,485,760),
`10MB` (10,000,000), `1.5GiB` and so on. Where only whole numbers are taken, what comes to a fraction is rounded up.
"""

OTHER_NAMES_INTRODUCTION = """\
## Other names

Variables of the Phase 4 pipeline, each the name in its YAML in upper case. They take the same values and units as the
settings that they stand for. Where both are given and differ, the start fails.

| variable | setting | note |
|---|---|---|
"""

EXAMPLE_INTRODUCTION = """\
# Every setting with its default. Written by `python -m configuration.document`; docs/configuration.md explains.
# Nothing reads this file by itself: give your copy to the process manager, or `set -a; . ./.env`.
"""


def configuration_page() -> str:
    """The text of docs/configuration.md."""
    parts = [INTRODUCTION]
    for name, section in config_sections().items():
        rows = "\n".join(_row(setting) for setting in section_settings(section))
        parts.append(
            f"## {name}\n\n{inspect.getdoc(section)}\n\n"
            f"| variable | default | allowed | what it is |\n|---|---|---|---|\n{rows}\n"
        )
    return "\n".join([*parts, OTHER_NAMES_INTRODUCTION + "".join(f"{row}\n" for row in _other_names())])


def example_environment() -> str:
    """The text of .env.example."""
    parts = [EXAMPLE_INTRODUCTION]
    for name, section in config_sections().items():
        lines = (f"# {setting.help}\n#{setting.variable}={_text(setting)}\n" for setting in section_settings(section))
        parts.append(f"# --- {name} ---\n\n" + "\n".join(lines))
    return "\n".join(parts)


def documents(root: Path) -> dict[Path, str]:
    """What each generated file must contain."""
    return {root / "docs" / "configuration.md": configuration_page(), root / ".env.example": example_environment()}


def _other_names() -> Iterator[str]:
    variables = {setting.name: setting.variable for setting in all_settings()}
    for other in OTHER_NAMES:
        yield f"| `{other.variable}` | `{variables[other.setting]}` | {other.note} |"
    for variable, reason in WITHOUT_EFFECT.items():
        yield f"| `{variable}` | none | Accepted without effect, with a warning at the start: {reason}. |"


def _row(setting: Setting) -> str:
    default = _text(setting)
    cells = (
        f"`{setting.variable}`" + (" (secret)" if setting.secret else ""),
        f"`{default}`" if default else "",
        "; ".join(_allowed(setting)),
        setting.help,
    )
    return "| " + " | ".join(cells) + " |"


def _text(setting: Setting) -> str:
    """The default as one would write it into the variable."""
    if isinstance(setting.default, bool):
        return str(setting.default).lower()
    if isinstance(setting.default, tuple):
        return ",".join(setting.default)
    return str(setting.default)


def _allowed(setting: Setting) -> Iterator[str]:
    if setting.kind is bool:
        yield "`true`, `false`"
    if setting.choices:
        yield ", ".join(f"`{choice}`" for choice in setting.choices)
    if setting.minimum is not None:
        yield f"at least {setting.minimum}"
    if setting.maximum is not None:
        yield f"at most {setting.maximum}"


def _main() -> None:
    root = Path(__file__).resolve().parent.parent
    for path, text in documents(root).items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _main()
