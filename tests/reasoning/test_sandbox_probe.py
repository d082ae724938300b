"""What `make` says and does about the sandbox: nothing where one works, and a remedy where none does."""

from __future__ import annotations

import subprocess
from functools import lru_cache

import pytest

from dsm_repro.reasoning.sandbox import __main__ as command


class Machine:
    """Back-ends that work here, and packages that can be installed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *working: str, installable: tuple[str, ...] = ()) -> None:
        self.working, self.installable, self.ran = set(working), installable, list[str]()
        monkeypatch.setattr(command, "probe", lru_cache(lambda name: None if name in self.working else "refused"))
        monkeypatch.setattr(command, "attempts", lambda: {"bubblewrap": ["bubblewrap"], "sandlock": ["sandlock"]})
        monkeypatch.setattr(command.subprocess, "run", self.run)

    def run(self, words: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        self.ran += words
        if words[0] not in self.installable:
            return subprocess.CompletedProcess(words, 100, "", "E: Unable to locate package\n")
        self.working.add({"bubblewrap": "bwrap"}.get(words[0], words[0]))
        return subprocess.CompletedProcess(words, 0, "", "")


def test_a_machine_that_isolates_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = Machine(monkeypatch, "userns", installable=("bubblewrap", "sandlock"))
    command.main(["--install"])
    said = capsys.readouterr().out
    assert machine.ran == []
    assert "sandbox bwrap: refused" in said and "sandbox userns: works" in said
    assert "bubblewrap would add the first choice" in said


def test_it_installs_what_it_can(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(monkeypatch, installable=("sandlock",))
    command.main(["--install"])
    said = capsys.readouterr().out
    assert machine.ran == ["bubblewrap", "sandlock"]
    assert "sandbox: no bubblewrap (E: Unable to locate package)" in said
    assert "sandbox: sandlock installed" in said and "sandbox sandlock: works" in said


@pytest.mark.parametrize("arguments", [[], ["--install"]])
def test_where_nothing_works_it_names_the_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    machine = Machine(monkeypatch)
    command.main(arguments)
    assert bool(machine.ran) == bool(arguments)
    assert "Install the package bubblewrap" in capsys.readouterr().out
