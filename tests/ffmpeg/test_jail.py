"""Programs that attack from inside the jail, in every form of isolation that this machine has (FAULTS 39)."""

import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import pytest

from configuration import ExecutionConfig, LimitConfig
from execution.ffmpeg import FfmpegRunner
from execution.ffprobe import Ffprobe
from execution.guard import Limits
from execution.isolation import NotIsolated, jail_of
from execution.jail import Isolation, Jail, slot_user
from execution.process import child_pids, is_running
from tests.ffmpeg.signalling import TGKILL
from tests.ffmpeg.sources import AAC, H264, Card, make
from transcoding.commands.command import FfmpegCommand, Input, Output
from transcoding.errors import InputRejected, ResourceExceeded

MIB = 1 << 20
LIMITS = Limits(memory_bytes=512 * MIB, file_bytes=64 * MIB, output_bytes=96 * MIB, cpu_seconds=120, processes=200)
FORMS = [Isolation.SANDBOX, Isolation.UID]
JAILS = [*FORMS, Isolation.CONTAINER]
WAIT_SECONDS = 120


@dataclass
class Attack:
    """A run, and the files that it must not reach."""

    jail: Jail
    source: Path
    other: Path
    folder: Path

    program: Path

    def run(self, script: str, *, limits: Limits = LIMITS) -> tuple[int, str]:
        """Run a shell script as the program; return its exit code and all that it says."""
        program = self.program
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        with self.jail.cell(inputs=[self.source], folder=self.folder) as cell:
            child = cell.start(
                [str(program), cell.name(self.source)], limits=limits, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            said = child.output(seconds=WAIT_SECONDS)
            return child.wait(), said


@pytest.fixture(params=FORMS)
def attack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Attack]:
    with make_attack(request.param, tmp_path) as attack:
        yield attack


def require(isolation: Isolation) -> Jail:
    try:
        return jail_of(ExecutionConfig(isolation=isolation))
    except NotIsolated as error:
        pytest.skip(f"this machine has no {isolation}: {error}")


@contextmanager
def make_attack(isolation: Isolation, tmp_path: Path) -> Iterator[Attack]:
    jail = require(isolation)
    inputs = tmp_path / "inputs"
    inputs.mkdir(mode=0o700)
    source, other, folder = inputs / "source", inputs / "other", tmp_path / "work"
    folder.mkdir(mode=0o700)
    for path in (source, other):
        path.write_text(f"this is {path.name}\n")
        path.chmod(0o600)
    with tempfile.TemporaryDirectory(prefix="program-") as programs:  # where everybody finds it, as ffmpeg
        Path(programs).chmod(0o755)
        yield Attack(jail, source, other, folder, Path(programs, "program"))


def test_the_input_can_be_read_and_the_folder_written(attack: Attack) -> None:
    code, said = attack.run('cat "$1"; cat "$1" > copy; mv copy moved')
    assert (code, said) == (0, "this is source\n")
    assert (attack.folder / "moved").read_text() == "this is source\n"


def test_another_input_cannot_be_read_or_listed(attack: Attack) -> None:
    attack.run("true")  # its own source has become readable for it; that of another run would be, too
    attack.other.chmod(0o644)
    _, said = attack.run(f"cat {attack.other}; ls {attack.other.parent}; cat {attack.other.parent}/*")
    assert "this is other" not in said
    assert "\nother" not in said


def test_the_input_cannot_be_changed(attack: Attack) -> None:
    code, _ = attack.run('chmod 666 "$1"; echo mine > "$1"')
    assert code != 0
    assert attack.source.read_text() == "this is source\n"


def test_the_environment_of_the_worker_cannot_be_read(attack: Attack) -> None:
    assert b"HOME=" in Path("/proc/self/environ").read_bytes()
    _, said = attack.run("env; cat /proc/[0-9]*/environ | tr '\\0' '\\n'")
    assert "PATH=" in said
    assert "HOME=" not in said


def test_secrets_of_the_machine_cannot_be_read(attack: Attack) -> None:
    code, said = attack.run("cat /etc/shadow")
    assert code != 0
    assert "root" not in said.replace("/etc/shadow", "")


def test_there_is_no_network(attack: Attack) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address = f"sockaddr_in({port}, inet_aton('127.0.0.1'))"
        code, said = attack.run(
            f'perl -MSocket -e "socket(S, PF_INET, SOCK_STREAM, 0) && connect(S, {address}) or die qq(no: \\$!\\n)"'
        )
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert code != 0
    assert said.startswith("no: ")


def test_nothing_is_written_outside(attack: Attack) -> None:
    targets = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), attack.source.parent, attack.folder.parent]  # noqa: S108
    name = f"escaped-{os.getpid()}"
    code, _ = attack.run("\n".join(f"touch {each}/{name} && exit 0" for each in targets) + "\nexit 9")
    assert code == 9
    assert not [each for each in targets if (each / name).exists()]


def test_a_link_cannot_be_left_in_the_folder(attack: Attack) -> None:
    code, _ = attack.run("ln -s /etc/shadow out || ln /etc/passwd out || mkfifo out || exit 9")
    assert code == 9
    assert list(attack.folder.iterdir()) == []


def test_no_folder_can_be_made(attack: Attack) -> None:
    code, _ = attack.run("mkdir deep || exit 9")
    assert code == 9
    assert list(attack.folder.iterdir()) == []


@pytest.mark.parametrize("isolation", JAILS)
def test_the_worker_and_its_other_programs_are_out_of_reach(isolation: Isolation, tmp_path: Path) -> None:
    """In a container they have the same user and are in sight."""
    with make_attack(isolation, tmp_path) as attack, subprocess.Popen(["/bin/sleep", "600"]) as sibling:
        try:
            niceness = os.getpriority(os.PRIO_PROCESS, sibling.pid)
            open_files = resource.prlimit(sibling.pid, resource.RLIMIT_NOFILE)
            attack.run(f"kill -9 {os.getpid()}; kill -9 $PPID; kill -9 {sibling.pid}")
            tgkill = f"syscall({TGKILL}, {sibling.pid}, {sibling.pid}, 9)"
            attack.run(f"perl -e '{tgkill}'; renice -n 5 -p {sibling.pid}; prlimit --pid={sibling.pid} --nofile=3:3")
            assert is_running(sibling.pid)
            assert os.getpriority(os.PRIO_PROCESS, sibling.pid) == niceness
            assert resource.prlimit(sibling.pid, resource.RLIMIT_NOFILE) == open_files
        finally:
            sibling.kill()


@pytest.mark.parametrize("isolation", JAILS)
def test_no_socket_of_the_worker_can_be_sent_to(isolation: Isolation, tmp_path: Path) -> None:
    """A pair of sockets is none of the network, and sends to others, too."""
    with make_attack(isolation, tmp_path) as attack, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        path = attack.folder / "receiver"
        receiver.bind(str(path))
        path.chmod(0o777)
        code, said = attack.run(
            "perl -MSocket -e 'socketpair(A, B, PF_UNIX, SOCK_DGRAM, 0) or die qq(no: $!\n);"
            f" send(A, q(x), 0, pack_sockaddr_un(q({path}))) or die qq(sent: $!\n)'"
        )
        receiver.settimeout(0)
        with pytest.raises(BlockingIOError):
            receiver.recv(1)
    assert (code != 0, said) == (True, "no: Operation not permitted\n")


NO_LANDLOCK = """
import errno, pyseccomp
from configuration import ExecutionConfig
from execution.isolation import NotIsolated, jail_of
kernel = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
kernel.add_rule(pyseccomp.ERRNO(errno.ENOSYS), "landlock_create_ruleset")
kernel.load()
try:
    jail_of(ExecutionConfig(isolation="container"))
except NotIsolated as error:
    print(error)
"""


def test_a_container_is_no_jail_where_the_kernel_has_no_landlock() -> None:
    done = subprocess.run([sys.executable, "-c", NO_LANDLOCK], capture_output=True, text=True, check=True)
    assert "container: the kernel has no Landlock" in done.stdout


PRINT_USER = "from execution.jail import slot_user; print(slot_user())"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a namespace for host names")
def test_users_of_containers_of_one_machine_differ() -> None:
    """Their processes have the same pids."""
    users = set()
    for name in ("one", "two", "three"):
        script = f"hostname {name} && exec {sys.executable} -c '{PRINT_USER}'"
        shared = ["unshare", "--uts", "--pid", "--fork", "--mount-proc", "sh", "-c", script]
        done = subprocess.run(shared, capture_output=True, text=True, check=True)
        users.add(int(done.stdout))
    assert len(users) == 3


def test_too_much_memory_is_the_fault_of_the_file(attack: Attack) -> None:
    with pytest.raises(ResourceExceeded, match="512 MiB of memory"):
        attack.run("exec perl -e '$x = chr(1) x (2 << 30); sleep 600'")
    assert not left_behind()


def test_memory_of_many_processes_is_added_up(attack: Attack) -> None:
    with pytest.raises(ResourceExceeded, match="512 MiB of memory"):
        attack.run("perl -e 'fork; fork; fork; $x = chr(1) x (100 << 20); sleep 600'")
    assert not left_behind()


def test_a_fork_bomb_is_ended(attack: Attack) -> None:
    with pytest.raises(ResourceExceeded, match="200 processes"):
        attack.run("exec perl -e 'while (1) { fork }'")
    assert not left_behind()


def test_a_fork_bomb_that_sleeps_is_ended(attack: Attack) -> None:
    """Its processes have no parents any more, and none of them is busy."""
    with pytest.raises(ResourceExceeded, match="200 processes"):
        attack.run("exec perl -e 'for (1..1000) { if (!fork) { fork and exit; sleep 600 } } sleep 600'")
    assert not left_behind()


def test_a_large_file_is_the_fault_of_the_file(attack: Attack) -> None:
    with pytest.raises(ResourceExceeded, match=r"larger file|of output"):
        attack.run("exec head -c 10G /dev/zero > out")
    assert (attack.folder / "out").stat().st_size <= LIMITS.file_bytes


def test_many_files_are_added_up(attack: Attack) -> None:
    with pytest.raises(ResourceExceeded, match="96 MiB of output"):
        attack.run("for n in 1 2 3 4 5 6 7 8 9; do head -c 30M /dev/zero > out$n; done; sleep 600")


def test_too_much_processor_time_is_the_fault_of_the_file(attack: Attack) -> None:
    with pytest.raises(ResourceExceeded, match="processor time"):
        attack.run("while :; do :; done", limits=replace(LIMITS, cpu_seconds=1))


def test_address_space_can_be_limited(attack: Attack) -> None:
    code, _ = attack.run("exec perl -e '$x = chr(1) x (400 << 20)'", limits=replace(LIMITS, address_bytes=200 * MIB))
    assert code != 0


def test_a_program_without_a_folder_writes_no_file(attack: Attack) -> None:
    attack.folder = None  # type: ignore[assignment]  # as for most runs
    code, _ = attack.run("echo x > /tmp/escaped || exit 9")
    assert code == 9


def test_nothing_that_it_started_lives_on(attack: Attack) -> None:
    """One that it left behind is in its group: it cannot leave that."""
    code, _ = attack.run("perl -MPOSIX -e 'setsid; fork or sleep 600' > /dev/null 2>&1 &")
    assert code == 0
    deadline = time.monotonic() + WAIT_SECONDS
    while left_behind() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not left_behind()


def test_it_is_the_first_to_be_killed_when_memory_is_short(attack: Attack) -> None:
    assert attack.run("cat /proc/self/oom_score_adj") == (0, "1000\n")


def test_what_it_runs_as(attack: Attack) -> None:
    _, said = attack.run("cat /proc/self/status")
    status = dict(line.split(":\t", 1) for line in said.splitlines())
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert set(status["CapEff"] + status["CapPrm"]) == {"0"}
    if os.geteuid() == 0:
        assert len({*status["Uid"].split(), *status["Gid"].split()}) == 1
        assert int(status["Uid"].split()[0]) > os.getpid()
        assert status["Groups"].strip() == ""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clip") / "clip.mp4", Card(rate=Fraction(25), frames=50), *H264, *AAC)


@pytest.mark.parametrize("isolation", [*FORMS, Isolation.CONTAINER, Isolation.NONE])
def test_real_programs_work_in_every_form(isolation: Isolation, clip: Path, tmp_path: Path) -> None:
    require(isolation)
    config = ExecutionConfig(isolation=isolation)
    assert '"h264"' in Ffprobe(config, LimitConfig()).streams(clip, demuxer="mov")
    lines = Ffprobe(config, LimitConfig()).packets(clip, demuxer="mov", stream=0, stop=threading.Event())
    assert len(list(lines)) == 50
    copy = FfmpegCommand(
        inputs=(Input(path=str(clip), options={"f": "mov"}),),
        outputs=(Output(target="out", maps=("0:v",), options={"c": "copy", "movflags": "+faststart", "f": "mp4"}),),
    )
    folder = tmp_path / "out"
    folder.mkdir()
    report = FfmpegRunner(config, LimitConfig()).run(
        copy, {"out": folder / "out.mp4"}, stop=threading.Event(), folder=folder
    )
    assert report.frames == 50
    assert '"h264"' in Ffprobe(config, LimitConfig()).streams(folder / "out.mp4", demuxer="mov")


@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1"])
@pytest.mark.parametrize("isolation", JAILS)
def test_encoders_need_nothing_that_is_refused(isolation: Isolation, encoder: str, clip: Path, tmp_path: Path) -> None:
    require(isolation)
    options = {"c:v": encoder, "frames:v": "10", "f": "matroska"}
    if encoder == "libx264":
        options |= {"pass": "1", "b:v": "200k", "passlogfile": "statistics"}
    encode = FfmpegCommand(
        inputs=(Input(path=str(clip), options={"f": "mov"}),),
        outputs=(Output(target="out", maps=("0:v",), options=options),),
    )
    folder = tmp_path / "out"
    folder.mkdir()
    runner = FfmpegRunner(ExecutionConfig(isolation=isolation), LimitConfig())
    report = runner.run(encode, {"out": folder / "out.mkv"}, stop=threading.Event(), folder=folder)
    assert report.frames == 10
    assert bool(list(folder.glob("statistics*.log.mbtree"))) == (encoder == "libx264")


def test_a_container_that_is_the_jail_still_has_no_network_and_no_environment(tmp_path: Path) -> None:
    with make_attack(Isolation.CONTAINER, tmp_path) as attack:
        _, said = attack.run("cat /proc/[0-9]*/environ | tr '\\0' '\\n'")
        assert "HOME=" not in said
        code, said = attack.run('perl -MSocket -e "socket(S, PF_INET, SOCK_STREAM, 0) or die qq(no: \\$!\\n)"')
        assert (code != 0, said.startswith("no: ")) == (True, True)


def test_an_output_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Without isolation it can be made; whoever reads the output must not follow it."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\nln -s /etc/shadow out\n")
    program.chmod(0o755)
    runner = FfmpegRunner(ExecutionConfig(isolation="none", ffmpeg_path=str(program)), LimitConfig())
    command = FfmpegCommand(inputs=(), outputs=(Output(target="out", maps=()),))
    with pytest.raises(InputRejected, match="something else than a file"):
        runner.run(command, {"out": tmp_path / "out"}, stop=threading.Event(), folder=tmp_path)


def left_behind() -> list[int]:
    """List the processes that runs have left behind: those of their user, or for want of one, children of this one."""
    if os.geteuid() != 0:
        return [pid for pid in child_pids() if is_running(pid)]
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [pid for pid in pids if user_of(pid) == slot_user() and is_running(pid)]


def user_of(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/status").read_text().partition("Uid:\t")[2].split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return None
