"""The seccomp filter of jailed programs: system calls that no decoder or encoder has a use for are refused."""

import errno
import os
import socket
import tempfile
from functools import cache
from typing import Any

_REFUSED = (
    # The network, and what would go round this filter.
    *("socket", "connect", "bind", "io_uring_setup", "io_uring_enter", "io_uring_register"),
    # Other processes. The C library's abort needs tgkill.
    *("kill", "tkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "pidfd_send_signal"),
    *("process_madvise", "process_mrelease", "migrate_pages", "ioprio_set"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "pidfd_open", "kcmp"),
    # Leaving the process group, by which a run is ended.
    *("setsid", "setpgid"),
    # Namespaces and mounts.
    *("unshare", "setns", "mount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig"),
    *("fsmount", "fspick", "mount_setattr"),
    # Folders, which can be nested deeper than whoever measures and removes them can follow.
    *("mkdir", "mkdirat"),
    # Files that are not what they seem to be to whoever reads the output, and the rights of the input.
    *("symlink", "symlinkat", "link", "linkat", "mknod", "mknodat", "chmod", "fchmod", "fchmodat", "fchmodat2"),
    *("chown", "fchown", "lchown", "fchownat", "setxattr", "lsetxattr", "fsetxattr"),
    # Memory that belongs to no process.
    *("shmget", "msgget", "semget", "mq_open"),
    # Large parts of the kernel.
    *("bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "fanotify_init", "init_module"),
    *("finit_module", "kexec_load", "personality", "quotactl", "acct", "swapon", "reboot"),
)
_NEW_NAMESPACES = (0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000)
"""Flags of `clone`: mount, cgroup, uts, ipc, user, pid and network namespaces."""
_SOCKET_KIND = 0xF
"""Bits of a socket's type; above them are flags."""
_UNCONNECTED_KINDS = (socket.SOCK_DGRAM, socket.SOCK_RAW)
"""Local sockets that send to any path, although they have a peer."""


@cache
def compiled_filter(*, devices: bool) -> bytes:
    """Compile the filter to the kernel's instructions.

    With `devices`, memory files and connected pairs of sockets are allowed: drivers use them.
    """
    import pyseccomp  # looks for the library by starting a program, which the API and the dispatcher need not

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    refused = pyseccomp.ERRNO(errno.EPERM)
    for name in [*_REFUSED, *(() if devices else ("memfd_create", "memfd_secret", "socketpair"))]:
        _add(rules, refused, name)
    for flag in _NEW_NAMESPACES:
        rules.add_rule(refused, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    if devices:
        for kind in _UNCONNECTED_KINDS:
            rules.add_rule(refused, "socketpair", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, _SOCKET_KIND, kind))
    # Limits and priorities of others: a program's own process is number 0.
    rules.add_rule(refused, "prlimit64", pyseccomp.Arg(0, pyseccomp.NE, 0))
    rules.add_rule(refused, "setpriority", pyseccomp.Arg(1, pyseccomp.NE, 0))
    rules.add_rule(refused, "setpriority", pyseccomp.Arg(0, pyseccomp.EQ, os.PRIO_USER))
    # Its flags lie in memory, where no filter can see them; the C library falls back to clone.
    _add(rules, pyseccomp.ERRNO(errno.ENOSYS), "clone3")
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def _add(rules: Any, action: int, name: str) -> None:  # noqa: ANN401 - a filter of the library, which is imported late
    """Add a rule. A call that this version of the library, or this architecture, does not know is left out."""
    import pyseccomp

    try:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    except ValueError:
        return
    if number >= 0:
        rules.add_rule(action, number)
