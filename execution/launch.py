"""Start a program with limits and few rights, where bubblewrap cannot: `python -I -S launch.py OPTION… -- PROGRAM…`.

Runs as a script of its own between fork and exec, since a process with threads must not run Python there. It imports
the standard library only, and as little of that as possible: it starts with every ffmpeg.

    parent=PID            end at once unless this process started us
    limit=NAME:SOFT:HARD  a resource limit, as `resource.RLIMIT_NAME`
    cgroup=PATH           a control group to join
    user=NUMBER           user and group to become, with the groups of `groups=N,N`
    filter=FD             compiled seccomp filter to load
    confine=1             Landlock: only what `read=PATH`, `write=PATH` (a file) and `folder=PATH` name can be opened
"""

import ctypes
import os
import resource
import signal
import struct
import sys
from collections.abc import Iterable

FAILED = 125
"""Exit code when the program could not be started as requested."""

_PR_SET_PDEATHSIG = 1
_PR_SET_SECCOMP = 22
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_BPF_INSTRUCTION_BYTES = 8
_CAPABILITY_VERSION = 0x2008_0522

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""Numbers of Landlock's system calls, the same on all architectures."""
_VERSION_QUERY = 1
_RULE_PATH_BENEATH = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REGULAR, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_FIRST_RIGHTS = (1 << 13) - 1
"""All rights of Landlock's first version. The third one adds truncation."""
_TRUNCATE_VERSION = 3
_SCOPE_VERSION = 6
_SCOPE_ABSTRACT_SOCKET, _SCOPE_SIGNAL = 1 << 0, 1 << 1
"""Neither abstract sockets nor signals reach processes outside. Linux 6.12 has this."""
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
"""Rights that a rule about a file, not a folder, may have."""

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> None:
    """Do what the options say and become the program."""
    split = arguments.index("--")
    options = [option.partition("=")[::2] for option in arguments[:split]]
    single = dict(options)
    for name, value in options:
        if name == "limit":
            kind, soft, hard = value.split(":")
            resource.setrlimit(getattr(resource, f"RLIMIT_{kind}"), (int(soft), int(hard)))
    _write("/proc/self/oom_score_adj", "1000")
    if "cgroup" in single:
        _write(f"{single['cgroup']}/cgroup.procs", "0")
    ruleset = _ruleset(options) if "confine" in single else None
    if "user" in single:
        _become(int(single["user"]), [int(group) for group in single.get("groups", "").split(",") if group])
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(single["parent"]):  # it ended before it could be watched
        sys.exit(FAILED)
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if "confine" in single:
        _drop_capabilities()
    if ruleset is not None:
        _call(_RESTRICT_SELF, ruleset, 0)
        os.close(ruleset)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and what is ignored stays so
        signal.signal(ignored, signal.SIG_DFL)
    if "filter" in single:
        _load_filter(int(single["filter"]))
    program = arguments[split + 1 :]
    os.execv(program[0], program)  # noqa: S606 - that is what this script is for


def landlock_version() -> int:
    """Return the version of Landlock that the kernel has; 0: none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_QUERY))))


def _become(user: int, groups: list[int]) -> None:
    """Give up root: the kernel drops all capabilities with it."""
    os.setgroups(groups)
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _drop_capabilities() -> None:
    """Give up what is left of root's rights where the user stays: a program gains no new ones any more."""
    header = ctypes.create_string_buffer(struct.pack("=Ii", _CAPABILITY_VERSION, 0), 8)
    if _libc.capset(header, ctypes.create_string_buffer(24)):
        raise OSError(ctypes.get_errno(), "capset")


def _ruleset(options: Iterable[tuple[str, str]]) -> int | None:
    """Return a ruleset that allows what the options name; None: the kernel has no Landlock."""
    version = landlock_version()
    if not version:
        return None
    handled = _FIRST_RIGHTS | (_TRUNCATE if version >= _TRUNCATE_VERSION else 0)
    allowed = {
        "read": _READ,
        "write": _READ_FILE | _WRITE_FILE | _TRUNCATE,
        "folder": _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REGULAR | _TRUNCATE,
    }
    fields = [handled]
    if version >= _SCOPE_VERSION:
        fields += [0, _SCOPE_ABSTRACT_SOCKET | _SCOPE_SIGNAL]  # the first is about network ports: there are no sockets
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    for name, value in options:
        if name in allowed:
            _allow(ruleset, value, allowed[name] & handled)
    return ruleset


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):  # noqa: PTH112 - pathlib would double the time that this script takes
        rights &= _ON_FILES
    rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, opened), 12)
    _call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    os.close(opened)


def _load_filter(descriptor: int) -> None:
    code = b""
    while block := os.read(descriptor, 1 << 16):
        code += block
    os.close(descriptor)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // _BPF_INSTRUCTION_BYTES, ctypes.addressof(buffer))
    _prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.create_string_buffer(program, len(program)))


def _prctl(option: int, *values: object) -> None:
    padded = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in values]
    padded += [ctypes.c_ulong(0)] * (4 - len(padded))
    if _libc.prctl(option, *padded):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _call(number: int, *values: object) -> int:
    result = int(_libc.syscall(ctypes.c_long(number), *values))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def _write(path: str, text: str) -> None:
    opened = os.open(path, os.O_WRONLY)
    os.write(opened, text.encode())
    os.close(opened)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        os.write(2, f"cannot start the program: {error}\n".encode())
        sys.exit(FAILED)
