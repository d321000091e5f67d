"""Which machine this is, for containers too: what caps a machine's sessions counts them together."""

from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def machine_id() -> str:
    """The same for every process on one running kernel, and for no other."""
    return _BOOT_ID.read_text().strip()
