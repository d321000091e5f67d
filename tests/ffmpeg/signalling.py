"""Programs that signal from inside the jail. It refuses `kill`; `tgkill` is what the C library's abort ends by."""

import platform
from signal import Signals

TGKILL = {"x86_64": 234, "aarch64": 131}[platform.machine()]
"""Number of the system call."""


def death_by(signal: Signals) -> str:
    """Return a shell command that ends the script by a signal, as a crash does."""
    return f"exec perl -e 'syscall({TGKILL}, 0+$$, 0+$$, {signal.value})'"
