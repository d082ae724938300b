"""Hostile programs are contained and killed on time, leave nothing behind, and the next program notices nothing.

All of it as root (where the tests are root's) and as an ordinary user, on every back-end that isolates.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hostile_programs import (
    CONTAINED,
    ENDLESS,
    FINDS_MEMORY,
    FINDS_NOTHING,
    FORK_BOMB,
    MARK,
    SURVIVOR,
    Hostile,
)

from dsm_repro.reasoning.processes import Worker
from dsm_repro.reasoning.sandbox import Execution
from dsm_repro.reasoning.sandbox.backends import ISOLATED

#: for programs that end by themselves, on however busy a machine
PATIENT = 10.0
#: for those that do not
WALL = 0.5
#: taking down a full process tree on a busy machine
SLACK = 2.0
#: programs that are run at once where the sandbox is impatient
AT_ONCE = 4
REPOSITORY = Path(__file__).resolve().parents[2]
OWNER = Path(__file__).with_name("sandbox_owner.py")
USERS = ("root", "ordinary user") if os.getuid() == 0 else ("ordinary user",)
#: where a program could leave a file
PLACES = ["/", "/etc", "/usr", "/usr/lib", "/bin", "/dev", "/dev/shm", "/home", "/root", "/run", "/tmp", "/var"]
PLACES += ["/var/tmp", str(REPOSITORY), str(REPOSITORY / "tests"), sys.prefix, sys.base_prefix, str(Path.cwd())]


class Owner:
    """A process that owns a sandbox (``sandbox_owner.py``); it has a secret in its environment."""

    def __init__(self, backend: str, user: str, timeout: float, workers: int) -> None:
        self.backend, self.zygotes = backend, list[int]()
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "DSM_SECRET": MARK}
        argv = [sys.executable, str(OWNER), backend, user, str(timeout), str(workers)]
        self.process = Worker(argv, environment)
        ready = self.process.receive(time.monotonic() + 60.0)
        if "problem" in ready:
            self.process.kill()
            pytest.skip(f"{backend} as {user}: {ready['problem']}")
        assert (ready["ready"] == 0) == (user == "root")

    def run(self, *programs: str) -> list[Execution]:
        deadline = time.monotonic() + 120.0
        self.process.send({"programs": programs}, deadline)
        answer = self.process.receive(deadline)
        self.zygotes = answer["zygotes"]
        return [Execution(**one) for one in answer["executions"]]


@pytest.fixture(scope="module", params=[(b, u) for b in ISOLATED for u in USERS], ids=lambda value: "-".join(value))
def setting(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


@pytest.fixture(scope="module")
def owner(setting: tuple[str, str]) -> Iterator[Owner]:
    owner = Owner(*setting, timeout=PATIENT, workers=1)
    assert owner.run("print(1)")[0].stdout == "1\n"
    yield owner
    owner.process.kill()


@pytest.fixture(scope="module")
def impatient(setting: tuple[str, str]) -> Iterator[Owner]:
    owner = Owner(*setting, timeout=WALL, workers=AT_ONCE)
    yield owner
    owner.process.kill()


def processes_left() -> list[str]:
    """Processes of this machine that go by ``MARK`` and are not already dead."""
    found = []
    for entry in Path("/proc").iterdir():
        # one that ends while it is looked at is none that is left
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == MARK and _running(int(entry.name)):
                found.append(entry.name)
    return found


def files_left() -> list[str]:
    found = []
    for place in PLACES:
        with contextlib.suppress(OSError):
            found += [f"{place}/{name}" for name in os.listdir(place) if MARK in name]  # noqa: PTH208
    return found


def _running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_there_are_enough_of_them() -> None:
    assert len(CONTAINED) + len(ENDLESS) >= 40


@pytest.mark.parametrize("hostile", CONTAINED, ids=lambda one: one.name)
def test_a_program_that(owner: Owner, hostile: Hostile) -> None:
    if owner.backend in hostile.admitted:
        pytest.skip(f"{owner.backend} says that it does not prevent it")
    zygotes = owner.zygotes
    execution, after = owner.run(hostile.source, FINDS_MEMORY)
    assert execution.status in hostile.status, execution
    assert hostile.stdout is None or execution.stdout == hostile.stdout
    assert len(execution.stdout) <= 5_000 and len(execution.error) <= 5_000
    assert execution.seconds < PATIENT
    # the same warm interpreter serves the next program, which finds nothing of this one
    assert (after.status, after.stdout, owner.zygotes) == ("ok", FINDS_NOTHING, zygotes)
    assert processes_left() == files_left() == []
    assert all(len(children(zygote)) <= 1 for zygote in zygotes)


def test_endless_programs_are_killed_on_time(impatient: Owner) -> None:
    started = time.monotonic()
    executions = impatient.run(*(one.source for one in ENDLESS))
    rounds = -(-len(ENDLESS) // AT_ONCE)
    assert time.monotonic() - started < rounds * (WALL + SLACK)
    for hostile, execution in zip(ENDLESS, executions, strict=True):
        assert execution.status in hostile.status, (hostile.name, execution)
        assert execution.seconds < WALL + SLACK, hostile.name
        assert hostile.status != ("timeout",) or execution.seconds >= WALL, hostile.name
    assert processes_left() == files_left() == []
    zygotes = impatient.zygotes
    assert {one.stdout for one in impatient.run(*[FINDS_MEMORY] * AT_ONCE)} == {FINDS_NOTHING}
    assert impatient.zygotes == zygotes and len(zygotes) == AT_ONCE


@pytest.mark.parametrize("source", [SURVIVOR, FORK_BOMB], ids=["survivor", "fork bomb"])
def test_what_it_starts_is_seen_and_then_gone(impatient: Owner, source: str) -> None:
    """The counts of nothing above count something while it is there."""
    seen: list[str] = []
    watcher = threading.Thread(target=lambda: seen.extend(_watch()))
    watcher.start()
    impatient.run(Hostile("", f"import time\n{source}").source)
    watcher.join()
    assert seen and processes_left() == []


def _watch() -> list[str]:
    deadline = time.monotonic() + WALL + SLACK
    while time.monotonic() < deadline:
        if found := processes_left():
            return found
        time.sleep(0.01)
    return []


def test_a_listener_of_the_host_is_not_reached(owner: Owner) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{MARK}")
        local.listen()
        server.setblocking(False)
        local.setblocking(False)
        port = server.getsockname()[1]
        (execution,) = owner.run(
            "import socket\n"
            f"for kind, address in ((socket.AF_INET, ('127.0.0.1', {port})), (socket.AF_UNIX, '\\0{MARK}')):\n"
            "    try:\n        socket.socket(kind).connect(address)\n        print('reached')\n"
            "    except OSError:\n        print('refused')"
        )
        assert execution.stdout == "refused\nrefused\n"
        for one in (server, local):
            with pytest.raises(BlockingIOError):
                one.accept()


def test_a_hundred_in_a_row_leave_no_process_descriptor_or_memory(owner: Owner) -> None:
    """``benchmarks/sandbox.py`` does it with ten thousand."""
    owner.run(*["print(1)"] * 30)
    (zygote,) = owner.zygotes
    before = _held(zygote)
    assert {one.stdout for one in owner.run(*["print(1)"] * 100)} == {"1\n"}
    processes, descriptors, memory = _held(zygote)
    # the last supervisor may not have ended yet
    assert processes <= 1 and descriptors == before[1]
    assert memory - before[2] < 1_000_000


def _held(pid: int) -> tuple[int, int, int]:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    return len(children(pid)), len(list(Path(f"/proc/{pid}/fd").iterdir())), pages * os.sysconf("SC_PAGE_SIZE")


def test_the_zygote_dies_with_its_owner(setting: tuple[str, str]) -> None:
    """A process that uses the sandbox and is killed while a program runs leaves nothing running."""
    owner = Owner(*setting, timeout=60.0, workers=1)
    owner.run("print(1)")
    owner.process.send({"programs": [Hostile("", "while True: pass").source]}, time.monotonic() + 10.0)
    deadline = time.monotonic() + 10.0
    while not processes_left():
        assert time.monotonic() < deadline, "the program was not started"
        time.sleep(0.01)
    owner.process.kill()
    while any(map(_running, owner.zygotes)) or processes_left():
        assert time.monotonic() < deadline, "something is left"
        time.sleep(0.02)
