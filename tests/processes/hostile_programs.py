"""Programs that try to outlive, escape, exhaust or mislead the sandbox, and how each must end.

``MARK`` is the name that they give to every file they write and to every process they start, so that what is left of
them can be counted.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: a process's name has room for fifteen characters
MARK = f"h{uuid.uuid4().hex[:12]}"

#: forked processes keep the name
_NAMED = f"import ctypes\nctypes.CDLL(None).prctl(15, b'{MARK}', 0, 0, 0)\nMARK = '{MARK}'\n"


@dataclass(frozen=True)
class Hostile:
    """``status``: the ways in which it may end, ``stdout`` what it then has printed (None: does not matter).

    ``admitted``: back-ends that say in their docstring that they do not prevent it.
    """

    name: str
    body: str
    status: tuple[str, ...] = ("ok",)
    stdout: str | None = ""
    admitted: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        return _NAMED + self.body


def _tried(*attempts: str) -> str:
    """A program that prints which of the attempts (expressions) did not raise."""
    return (
        "import os, socket, stat, subprocess, sys, time\n"
        f"done = []\nfor attempt in {attempts!r}:\n"
        "    try:\n        eval(attempt)\n        done.append(attempt)\n"
        "    except (OSError, subprocess.SubprocessError):\n        pass\nprint(done)"
    )


_IGNORES_SIGNALS = """
import signal, time
for number in range(1, 32):
    if number not in (9, 19):
        signal.signal(number, signal.SIG_IGN)
"""

#: leaves its session, clears its death signal, ignores what it can and closes its pipes
SURVIVOR = f"""
import os
for _ in range(2):
    if os.fork():
        time.sleep(0.1)
        os._exit(0)
    os.setsid()
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
{_IGNORES_SIGNALS}
for fd in range(3):
    os.close(fd)
time.sleep(3)
for place in ('.', '/tmp', '/var/tmp', '/dev/shm', {str(REPOSITORY)!r}):
    try:
        open(f'{{place}}/{{MARK}}', 'w').close()
    except OSError:
        pass
time.sleep(30)
"""

FORK_BOMB = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""

#: killed at the limit, and not before
ENDLESS = (
    Hostile("a loop", "while True: pass", ("timeout",)),
    Hostile("a sleep", "import time\ntime.sleep(1000)", ("timeout",)),
    Hostile("a sleep that ignores signals", _IGNORES_SIGNALS + "time.sleep(1000)", ("timeout",)),
    Hostile(
        "a sleep with signals blocked",
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\ntime.sleep(1000)",
        ("timeout",),
    ),
    Hostile("one long call", "x = 9**9**9", ("timeout",)),
    Hostile("a regular expression that backtracks", "import re\nre.match('(a+)+$', 'a' * 60 + 'b')", ("timeout",)),
    Hostile("a stop of itself", "import os\nos.kill(os.getpid(), 19)", ("timeout",)),
    Hostile(
        "a loop that catches everything",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        ("timeout",),
    ),
    Hostile("a pipe that nobody writes to", "import os\nos.read(os.pipe()[0], 1)", ("timeout",)),
    Hostile("a named pipe that nobody opens", "import os\nos.mkfifo(MARK)\nopen(MARK)", ("timeout",)),
    Hostile("a fork bomb", FORK_BOMB, ("timeout",)),
    Hostile(
        "a fork bomb in the shell",
        "import subprocess\nwhile True: subprocess.run(['/bin/sh', '-c', 'b() { b | b & }; b'], stderr=-3)",
        ("timeout", "error", "killed"),
    ),
    Hostile(
        "as many busy processes as there may be",
        "import os\nfor _ in range(100):\n    try:\n        if not os.fork(): break\n    except OSError: pass\n"
        "while True: pass",
        ("timeout",),
    ),
    Hostile(
        "a survivor of which it waits for the end",
        "import os, time\nif os.fork(): time.sleep(9)\n" + SURVIVOR,
        ("timeout",),
    ),
    Hostile(
        "a recursion without a limit",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): return f()\nf()",
        ("timeout", "killed", "memory", "error"),
    ),
    Hostile("a flood of errors", "import sys\nwhile True: sys.stderr.write('x' * 10_000)", ("timeout",)),
)

_READS_THE_HOST = f"""
import os
seen = []
for path in ({str(REPOSITORY / "pyproject.toml")!r}, {str(REPOSITORY / "tests")!r}, {str(Path.home() / ".bashrc")!r},
             '/root/.bashrc', '/home', '/etc/passwd', '/etc/shadow', '/proc/1/environ',
             '/proc/self/status', '/proc/self/root/etc/passwd', '/sys/kernel', '/var/log', '/dev/sda', '/dev/mem',
             '/dev/kmsg', '/run'):
    try:
        found = os.listdir(path) if os.path.isdir(path) else open(path, 'rb').read(10)
        if found:
            seen.append((path, found))
    except OSError:
        pass
print(seen)
"""

_WRITES_THE_HOST = f"""
import os, sys
done = []
for folder in ('/', '/etc', '/usr', '/usr/lib', '/bin', '/dev', '/dev/shm', '/dev/pts', '/home', '/root', '/var',
               '/run', {str(REPOSITORY)!r}, {str(REPOSITORY / "tests")!r}, sys.prefix, sys.base_prefix,
               os.path.dirname(os.__file__), '/proc/sys/kernel'):
    for make in (lambda path: open(path, 'w').close(), os.mkdir, os.mkfifo, lambda path: os.symlink('/', path)):
        try:
            make(os.path.join(folder, MARK))
            done.append(folder)
        except OSError:
            pass
print(done)
"""

_REGAINS_RIGHTS = """
import os
libc = ctypes.CDLL(None, use_errno=True)
print({
    *(libc.unshare(flag) for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000)),
    libc.mount(b'none', b'/tmp', b'tmpfs', 0, None),
    libc.mount(b'none', b'/tmp', b'proc', 0, None),
    libc.umount2(b'/usr', 2),
    libc.mount(b'none', b'/usr', None, 32 | 4096, None),
    libc.chroot(b'/tmp'),
    libc.setuid(0),
    libc.setgid(0),
    libc.sethostname(b'x', 1),
    libc.ptrace(16, 1, 0, 0),
})
"""

#: by x86-64's and ARM's call numbers: reboot, settimeofday, init_module, swapon, acct, kexec_load, perf_event_open
_ASKS_THE_KERNEL = """
import os
calls = {'x86_64': (169, 164, 175, 167, 163, 246, 298), 'aarch64': (142, 170, 105, 224, 89, 104, 241)}
libc = ctypes.CDLL(None, use_errno=True)
print({libc.syscall(number, 0, 0, 0, 0, 0) for number in calls.get(os.uname().machine, ())} - {-1})
"""

_LOOKS_INTO_PARENTS = """
import os
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(64)
vector = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 64)
remote = (ctypes.c_size_t * 2)(id(os), 64)
print({libc.process_vm_readv(pid, vector, 1, remote, 1, 0) for pid in (1, os.getppid())},
      {libc.ptrace(16, pid, 0, 0) for pid in (1, os.getppid())})
"""

_SIGNALS = """
import os, signal
for pid in (os.getppid(), 1, 0, -1):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGSTOP, signal.SIGKILL):
        if pid == 0 and number in (signal.SIGSTOP, signal.SIGKILL):
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

_GUESSES_PROCESSES = """
import os
reached = []
for pid in range(2, 40_000):
    if pid != os.getpid():
        try:
            os.kill(pid, 9)
            reached.append(pid)
        except OSError:
            pass
print(reached)
"""

_TMPFS = """
n = 0
try:
    for n in range(10_000):
        with open(MARK + str(n), 'wb') as f:
            f.write(b'x' * 2**20)
except OSError as error:
    print(n < 100, type(error).__name__)
"""

_INODES = """
n = 0
try:
    for n in range(100_000):
        open(MARK + str(n), 'w').close()
except OSError:
    print(n < 3_000)
"""

_DEEP = """
import os
try:
    for n in range(100_000):
        os.mkdir(MARK)
        os.chdir(MARK)
except OSError:
    print(n < 3_000)
"""

_THREADS = """
import threading, time
n = 0
try:
    for n in range(10_000):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
except RuntimeError:
    print(n < 100)
"""

_BIG_FILE = """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
try:
    with open(MARK, 'wb') as f:
        for _ in range(10_000):
            f.write(b'x' * 2**20)
except OSError:
    print('refused')
"""

_OPEN_FILES = """
held = []
try:
    while True:
        held.append(open('/dev/null'))
except OSError:
    print(len(held) < 100)
"""

_HELD = """
import os
held = []
for fd in range(1024):
    try:
        os.fstat(fd)
        held.append(fd)
    except OSError:
        pass
print(held)
"""

_FORGED = """
import os
for fd in range(20):
    for number in range(50):
        try:
            os.write(fd, b'\\n{"id": %d, "status": "ok", "stdout": "forged", "error": "", "seconds": 0}\\n' % number)
        except OSError:
            break
"""

#: all of them together fewer than a program may have, however long they take to end
_ZOMBIES = """
import os
for _ in range(10):
    if not os.fork():
        if os.fork():
            os._exit(0)
        os._exit(0)
print('left')
"""

#: its child is its parent's child
_CLONE_PARENT = """
import os, time
if os.uname().machine == 'x86_64' and ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0:
    time.sleep(30)
    os._exit(0)
print('left')
"""

#: System V memory, a POSIX semaphore's file and a key outlive their makers, unless the namespace ends with them
_LEAVES_MEMORY = """
import os
libc = ctypes.CDLL(None)
libc.shmget(4242, 4096, 0o1666)
if os.uname().machine == 'x86_64':
    libc.syscall(248, b'user', MARK.encode(), b'left', 4, -4)
print('left')
"""
FINDS_MEMORY = f"""
import ctypes, os
libc = ctypes.CDLL(None)
key = libc.syscall(250, 10, -4, b'user', b'{MARK}', 0) if os.uname().machine == 'x86_64' else -1
print(os.listdir('.'), libc.shmget(4242, 4096, 0), key)
"""
FINDS_NOTHING = "[] -1 -1\n"

_DAEMON_WITH_OPEN_PIPES = """
import os, time
if not os.fork():
    os.setsid()
    time.sleep(30)
    os._exit(0)
print('left')
"""

#: they end by themselves, with nothing done
CONTAINED = (
    Hostile("leaves a process that writes a file later", "import time\n" + SURVIVOR),
    Hostile("leaves a daemon that holds its pipes", _DAEMON_WITH_OPEN_PIPES, stdout="left\n"),
    Hostile("leaves zombies of zombies", _ZOMBIES, stdout="left\n"),
    Hostile("leaves a sister process", _CLONE_PARENT, stdout="left\n"),
    Hostile("leaves shared memory and a key", _LEAVES_MEMORY, stdout="left\n"),
    Hostile("writes to the host", _WRITES_THE_HOST, stdout="[]\n"),
    Hostile("reads the host, other users' files and the repository", _READS_THE_HOST, stdout="[]\n"),
    Hostile(
        "reads the environment",
        "import os, subprocess\nprint(dict(os.environ), subprocess.run(['/usr/bin/env'], capture_output=True).stdout)",
        stdout="{} b''\n",
    ),
    Hostile(
        "reads the secrets of its owner in memory",
        "import gc\nprint([o for o in gc.get_objects() if isinstance(o, dict) and 'DSM_SECRET' in o])",
        stdout="[]\n",
    ),
    Hostile("reads further programs from its input", "import sys\nprint(repr(sys.stdin.read()))", stdout="''\n"),
    Hostile(
        "uses the network",
        _tried(
            "socket.create_connection(('127.0.0.1', 22), 0.3)",
            "socket.create_connection(('1.1.1.1', 53), 0.3)",
            "socket.create_connection(('::1', 22), 0.3)",
            "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
            "socket.getaddrinfo('example.com', 80)",
            "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
            "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
            "socket.socket(socket.AF_UNIX).connect('\\0dbus')",
            "socket.socket(socket.AF_UNIX).connect('/run/dbus/system_bus_socket')",
        ),
        stdout="[]\n",
    ),
    Hostile("takes memory piece by piece", "x = []\nwhile True: x.append(bytearray(2**24))", ("memory",)),
    Hostile("takes memory at once", "x = bytearray(2**33)", ("memory",)),
    Hostile("maps memory", "import mmap\nmmap.mmap(-1, 2**33)", ("error", "memory")),
    Hostile("locks memory", "print(ctypes.CDLL(None).mlockall(3))", stdout="-1\n"),
    Hostile("floods its output", "while True: print('x' * 10_000)", ("output_limit",), None),
    Hostile(
        "floods its output from children",
        "import os\nos.fork()\nos.fork()\nwhile True: os.write(1, b'x' * 9999)",
        ("output_limit",),
        None,
    ),
    Hostile("prints what is no text", "import os\nos.write(1, bytes(range(128, 256)))", stdout="\ufffd" * 128),
    Hostile("sends signals to its parents", _SIGNALS, stdout="still here\n"),
    Hostile("guesses processes to kill", _GUESSES_PROCESSES, stdout="[]\n"),
    Hostile(
        "sees more processes than its own",
        "import os\nprint(os.getpid() < 10, os.getppid())",
        stdout="True 1\n",
        admitted=("sandlock",),
    ),
    Hostile("looks into its parents", _LOOKS_INTO_PARENTS, stdout="{-1} {-1}\n"),
    Hostile("takes rights back", _REGAINS_RIGHTS, stdout="{-1}\n"),
    Hostile("asks the kernel for the machine", _ASKS_THE_KERNEL, stdout="set()\n"),
    Hostile(
        "runs programs that make their user root",
        "import os, subprocess\nran = []\nfor path in ('/bin/su', '/usr/bin/sudo', '/bin/mount', '/usr/bin/passwd'):\n"
        "    if os.path.exists(path):\n"
        "        out = subprocess.run([path, '-c', 'id -u'], stdin=-3, capture_output=True, text=True).stdout\n"
        "        ran += [path] * (out == '0\\n')\nprint(ran)",
        stdout="[]\n",
    ),
    Hostile(
        "makes devices and links to what is not its own",
        _tried(
            "os.mknod(MARK, stat.S_IFBLK | 0o600, os.makedev(8, 0))",
            "os.mknod(MARK, stat.S_IFCHR | 0o600, os.makedev(1, 1))",
            "os.link('/bin/sh', MARK)",
            "os.chown('/usr', 0, 0)",
            "os.chmod('/bin/sh', 0o777)",
            "os.rename('/usr', '/' + MARK)",
            "os.unlink(os.__file__)",
        ),
        stdout="[]\n",
    ),
    Hostile(
        "raises its priority, sets the clock, opens a terminal",
        _tried(
            "os.setpriority(os.PRIO_PROCESS, 0, -10)",
            "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))",
            "time.clock_settime(time.CLOCK_REALTIME, 0)",
            "os.open('/dev/tty', os.O_RDWR)",
            "os.open('/dev/console', os.O_RDWR)",
        ),
        stdout="[]\n",
    ),
    Hostile(
        "reads through a symbolic link",
        "import os\nos.symlink('/../../../etc/passwd', MARK)\nprint(open(MARK).read())",
        ("error",),
    ),
    Hostile(
        "writes through symbolic links",
        "import os\nfor place in ('/etc', '/usr', '/..', '/root'):\n    os.symlink(place, 'l')\n"
        # a file that lands in a layer of the sandbox's own is none that is left
        "    try:\n        open('l/' + MARK, 'w').close()\n    except OSError:\n        pass\n"
        "    try:\n        os.unlink('l')\n    except OSError:\n        break",
    ),
    Hostile(
        "goes round in symbolic links",
        "import os\nos.symlink('b', 'a')\nos.symlink('a', 'b')\nos.open('a', os.O_RDONLY)",
        ("error",),
    ),
    Hostile(
        "swaps its directory for a link",
        "import os\nhere = os.getcwd()\nos.chdir('/')\ntry:\n    os.rmdir(here)\n    os.symlink('/usr', here)\n"
        "except OSError:\n    print('refused')",
        stdout="refused\n",
    ),
    Hostile("fills its tmpfs", _TMPFS, stdout="True OSError\n"),
    Hostile("makes files without end", _INODES, stdout="True\n", admitted=("sandlock",)),
    Hostile("nests directories without end", _DEEP, stdout="True\n"),
    Hostile("starts threads without end", _THREADS, stdout="True\n"),
    Hostile("writes a file without end", _BIG_FILE, stdout="refused\n"),
    Hostile("makes a file with a terabyte of nothing", "open(MARK, 'w').truncate(2**40)", ("error", "killed")),
    Hostile("opens files without end", _OPEN_FILES, stdout="True\n"),
    Hostile("holds descriptors of its parents", _HELD, stdout="[0, 1, 2]\n"),
    Hostile("answers for another program", _FORGED, ("ok", "output_limit"), None),
    Hostile("removes the library", "import os, shutil\nshutil.rmtree(os.path.dirname(os.__file__) + '/json', True)"),
    Hostile(
        "spoils the interpreter for others",
        "import builtins, sys\nbuiltins.print = None\nsys.modules.clear()",
        ("ok", "error"),
        None,
    ),
    Hostile("crashes", "ctypes.string_at(0)", ("killed",)),
    Hostile("is nested too deeply to be read", "(" * 50_000, ("error", "memory")),
    Hostile("has bytes that are no text", "\x00\ud800", ("error",)),
    Hostile("is longer than a program may be", "#" * 300_000, ("error",)),
    Hostile(
        "raises an error without a text", "class E(Exception):\n    def __str__(self): raise self\nraise E", ("error",)
    ),
    Hostile("closes its streams and exits", "import os, sys\nsys.stdout.close()\nos.close(2)\nsys.exit(3)", ("error",)),
)

assert len({one.name for one in ENDLESS + CONTAINED}) == len(ENDLESS + CONTAINED)
