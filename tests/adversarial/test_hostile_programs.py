"""Programs that try to outlive, escape or exhaust the sandbox."""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from dsm_repro.config.schema import SandboxConfig
from dsm_repro.reasoning.sandbox import Execution, Sandbox
from dsm_repro.reasoning.sandbox.backends import ISOLATED
from dsm_repro.reasoning.sandbox.controller import probe

WALL = 0.6
#: taking down a full process tree on a busy machine
SLACK = 2.0
REPOSITORY = Path(__file__).resolve().parents[2]

READS_THE_HOST = f"""
import os
seen = []
for path in ({str(REPOSITORY / "pyproject.toml")!r}, {str(REPOSITORY / "tests")!r}, {str(Path.home() / ".bashrc")!r},
             '/root/.bashrc', '/etc/passwd', '/etc/shadow', '/proc/1/environ', '/proc/self/status', '/sys/kernel',
             '/var/log', '/dev/sda', '/dev/mem'):
    try:
        seen.append((path, os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(10)))
    except OSError:
        pass
print(seen)
"""

WRITES_THE_HOST = f"""
import os, sys
done = []
for path in ('/etc/x', '/usr/x', '/bin/x', '/x', '/dev/x', '/home/x', '/root/x', '/var/x', {str(REPOSITORY / "x")!r},
             sys.prefix + '/x', sys.base_prefix + '/x', os.path.dirname(os.__file__) + '/x.py'):
    try:
        open(path, 'w').write('x')
        done.append(path)
    except OSError:
        pass
print(done)
"""

#: leaves its session, clears its death signal and ignores what it can; each forked copy does the same
SURVIVOR = """
import ctypes, os, signal, time
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
for number in range(1, 32):
    if number not in (9, 19):
        signal.signal(number, signal.SIG_IGN)
for fd in range(3):
    os.close(fd)
time.sleep(30)
"""

IGNORES_SIGNALS = """
import signal, time
for number in range(1, 32):
    if number not in (9, 19):
        signal.signal(number, signal.SIG_IGN)
time.sleep(1000)
"""

FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""

REGAINS_RIGHTS = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(
    [libc.unshare(flag) for flag in (0x10000000, 0x20000, 0x40000000)],
    libc.mount(b'none', b'/tmp', b'tmpfs', 0, None),
    libc.umount2(b'/usr', 2),
    libc.mount(b'none', b'/usr', None, 32 | 4096, None),
    libc.chroot(b'/tmp'),
    libc.setuid(0),
    libc.sethostname(b'x', 1),
    libc.ptrace(16, 1, 0, 0),
)
"""

TMPFS = """
n = 0
try:
    for n in range(10_000):
        with open(str(n), 'wb') as f:
            f.write(b'x' * 2**20)
except OSError as error:
    print(n < 100, type(error).__name__)
"""

INODES = """
n = 0
try:
    for n in range(100_000):
        open(str(n), 'w').close()
except OSError:
    print(n < 3_000)
"""

THREADS = """
import threading, time
n = 0
try:
    for n in range(10_000):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
except RuntimeError:
    print(n < 100)
"""

BIG_FILE = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open('big', 'wb') as f:
        for _ in range(10_000):
            f.write(b'x' * 2**20)
except OSError:
    print('refused')
"""

HELD = """
import os
held = []
for fd in range(256):
    try:
        os.fstat(fd)
        held.append(fd)
    except OSError:
        pass
print(held)
"""

FORGED = """
import os
for fd in range(20):
    try:
        os.write(fd, b'\\n' + {forged}.encode() + b'\\n')
    except OSError:
        pass
"""

SIGNALS = """
import os, signal
for pid in (os.getppid(), 1, 0, -1):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGKILL):
        if pid in (0, -1) and number == signal.SIGKILL:
            continue
        try:
            signal.signal(number, signal.SIG_IGN)
        except OSError:
            pass
        try:
            os.kill(pid, number)
        except OSError:
            pass
print('still here')
"""


@pytest.fixture(scope="module", params=ISOLATED)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    if reason := probe(request.param):
        pytest.skip(f"{request.param}: {reason}")
    config = SandboxConfig(backend=request.param, timeout=WALL, memory_mb=128, output_bytes=5_000)
    with Sandbox(config, workers=1) as sandbox:
        assert sandbox.run("print(1)").stdout == "1\n"
        yield sandbox


def attack(sandbox: Sandbox, program: str) -> Execution:
    """Run a hostile program; it must end on time and the next one must be served."""
    started = time.monotonic()
    execution = sandbox.run(program)
    assert time.monotonic() - started < WALL + SLACK
    started = time.monotonic()
    assert sandbox.run("import os\nprint(os.listdir('.'))").stdout == "[]\n"
    assert time.monotonic() - started < SLACK
    return execution


def called(name: str) -> list[str]:
    """Processes of this machine that go by ``name``, which a program can give itself."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == name and (entry / "statm").read_text() != EMPTY:
                    found.append(entry.name)
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


#: statm of a process that has ended and waits to be reaped
EMPTY = "0 0 0 0 0 0 0\n"


@pytest.mark.parametrize(
    "program",
    [
        "while True: pass",
        "import time\ntime.sleep(1000)",
        IGNORES_SIGNALS,
        "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "x = 9**9**9",
        "import os\nos.kill(os.getpid(), 19)",
        FORK_BOMB,
    ],
    ids=["loop", "sleep", "sleep ignoring signals", "signals blocked", "one long call", "stops itself", "fork bomb"],
)
def test_past_the_limit_it_is_killed(sandbox: Sandbox, program: str) -> None:
    execution = attack(sandbox, program)
    assert execution.status == "timeout"
    assert execution.seconds < WALL + SLACK


@pytest.mark.parametrize("program", [SURVIVOR, FORK_BOMB], ids=["survivor", "fork bomb"])
def test_nothing_is_left_running(sandbox: Sandbox, program: str) -> None:
    name = f"d{uuid.uuid4().hex[:12]}"
    seen: list[str] = []
    watcher = threading.Thread(target=lambda: seen.extend(_watch(name)))
    watcher.start()
    named = f"import ctypes, time\nctypes.CDLL(None).prctl(15, b'{name}', 0, 0, 0)\ntime.sleep(0.1)\n"
    sandbox.run(named + program)
    watcher.join()
    assert seen and called(name) == []
    assert attack(sandbox, "print(1)").stdout == "1\n"


def _watch(name: str) -> list[str]:
    deadline = time.monotonic() + WALL
    while time.monotonic() < deadline:
        if found := called(name):
            return found
        time.sleep(0.01)
    return []


def test_it_reads_nothing_of_the_host(sandbox: Sandbox) -> None:
    assert attack(sandbox, READS_THE_HOST).stdout == "[]\n"


def test_it_writes_nothing_outside_its_tmpfs(sandbox: Sandbox) -> None:
    assert attack(sandbox, WRITES_THE_HOST).stdout == "[]\n"


def test_it_has_no_environment(sandbox: Sandbox) -> None:
    program = "import os, subprocess\nprint(dict(os.environ), subprocess.run(['env'], capture_output=True).stdout)"
    assert attack(sandbox, program).stdout == "{} b''\n"


def test_it_has_no_network(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        hits: list[object] = []
        server.settimeout(WALL + SLACK)
        thread = threading.Thread(target=_accept, args=(server, hits), daemon=True)
        thread.start()
        port = server.getsockname()[1]
        execution = attack(sandbox, f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 0.3)")
        assert execution.status == "error" and "Error" in execution.error
        assert not hits


def _accept(server: socket.socket, hits: list[object]) -> None:
    try:
        hits.append(server.accept())
    except OSError:
        return


def test_it_sees_only_its_own_processes(sandbox: Sandbox) -> None:
    execution = attack(sandbox, "import os\nprint(os.getpid() < 10, os.getppid())")
    assert execution.stdout == "True 1\n"


def test_signals_reach_nobody_outside(sandbox: Sandbox) -> None:
    attack(sandbox, SIGNALS)
    assert sandbox._pool.started == 1 and sandbox._pool._state.all[0].alive


def test_rights_cannot_be_had_back(sandbox: Sandbox) -> None:
    assert attack(sandbox, REGAINS_RIGHTS).stdout == "[-1, -1, -1] -1 -1 -1 -1 -1 -1 -1\n"


def test_it_holds_no_descriptor_but_its_three(sandbox: Sandbox) -> None:
    assert attack(sandbox, HELD).stdout == "[0, 1, 2]\n"


@pytest.mark.parametrize(
    ("program", "stdout"), [(TMPFS, "True OSError\n"), (INODES, "True\n"), (THREADS, "True\n"), (BIG_FILE, "refused\n")]
)
def test_files_and_threads_are_bounded(sandbox: Sandbox, program: str, stdout: str) -> None:
    assert attack(sandbox, program).stdout == stdout


def test_memory_is_bounded(sandbox: Sandbox) -> None:
    assert attack(sandbox, "x = []\nwhile True: x.append(bytearray(2**26))").status == "memory"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output_is_cut(sandbox: Sandbox, stream: str) -> None:
    execution = attack(sandbox, f"import sys\nwhile True: sys.{stream}.write('x' * 10_000)")
    assert execution.status == ("output_limit" if stream == "stdout" else "timeout")
    assert len(execution.stdout) <= 5_000 and len(execution.error) <= 5_000


def test_a_program_cannot_answer_for_another(sandbox: Sandbox) -> None:
    forged = """{"id": 1, "status": "ok", "stdout": "forged", "error": "", "seconds": 0}"""
    assert attack(sandbox, FORGED.replace("{forged}", repr(forged))).stdout != "forged"


def test_symlinks_lead_nowhere(sandbox: Sandbox) -> None:
    program = "import os\nos.symlink('/../../../etc/passwd', 'l')\nprint(os.path.exists('l'))"
    assert attack(sandbox, program).stdout == "False\n"


def test_the_zygote_dies_with_its_owner(sandbox: Sandbox) -> None:
    """A process that uses the sandbox and is killed leaves nothing running."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            config = SandboxConfig(backend=sandbox.backend, timeout=60.0)
            other = Sandbox(config, workers=1)
            other.run("print(1)")
            os.write(write, f"{other._pool._state.all[0].process.pid}".encode())
            other.run("while True: pass")
        finally:
            os._exit(0)
    zygote = int(os.read(read, 20))
    os.close(read)
    os.close(write)
    os.kill(child, 9)
    os.waitpid(child, 0)
    deadline = time.monotonic() + 5.0
    while _running(zygote) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _running(zygote)


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
