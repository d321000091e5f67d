"""Progress output: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import TextIO

BAR_WIDTH = 30
LINE_EVERY_PERCENT = 25
CLEAR_LINE = "\r\x1b[K"


class Terminal:
    """Prints lines, and below them a progress bar that is redrawn in place."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._shown: tuple[str, int] | None = None

    def line(self, text: str) -> None:
        """Print a line."""
        self._write((CLEAR_LINE if self._live else "") + text + "\n")
        self._shown = None

    def bar(self, label: str, percent: float, detail: str = "") -> None:
        """Draw the progress bar; without a terminal print a line every `LINE_EVERY_PERCENT`."""
        if self._live:
            filled = round(BAR_WIDTH * percent / 100)
            drawn = "█" * filled + "░" * (BAR_WIDTH - filled)
            self._write(f"{CLEAR_LINE}{label} {drawn} {percent:3.0f} % {detail}")
        elif self._shown != (step := (label, int(percent // LINE_EVERY_PERCENT))):
            self._shown = step
            self._write(f"{label} {percent:.0f} % {detail}".rstrip() + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
