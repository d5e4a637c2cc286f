"""A machine that refuses, and a defect of ours: what a command says, what it leaves, and that going on works."""

from __future__ import annotations

import errno
import os
import sys

import pytest

from benchmarks import full_disk
from shortlist import _errors, cli
from workloads.data import files


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a/b"), "a/b: No space left on device"),
        (PermissionError(errno.EACCES, "Permission denied", b"a"), "a: Permission denied"),
        (OSError(errno.EXDEV, "Invalid cross-device link", "a", None, "b"), "a -> b: Invalid cross-device link"),
        (OSError("said by a library"), "said by a library"),
        (MemoryError(), "out of memory; ask for less at a time"),
        (ValueError("two\n  lines \x1b[31m"), "two lines  [31m"),
        (ValueError("a\u202eb"), "a b"),
        (KeyError("x"), None),
        (RuntimeError("x"), None),
    ],
)  # fmt: skip
def test_errors_are_told_in_one_line_unless_they_are_ours(error, said):
    told = _errors.told(error)
    assert told == said


def test_a_defect_keeps_its_traceback_and_asks_to_be_reported(monkeypatch, capsys):
    def broken() -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    said = capsys.readouterr().err
    assert ended.value.code == cli.DEFECT
    assert "Traceback" in said
    assert said.endswith("shortlist: this is a defect of Shortlist; please report it with the lines above\n")


def test_tracebacks_can_be_asked_for(monkeypatch):
    def refuses() -> None:
        raise ValueError("bad input")

    monkeypatch.setattr(cli, "app", refuses)
    monkeypatch.setenv("SHORTLIST_TRACEBACK", "1")
    with pytest.raises(ValueError, match="bad input"):
        cli.main()


def test_a_write_that_fails_names_the_file_and_leaves_nothing(tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write in (files.write_atomically, files.write_once):
        with pytest.raises(OSError, match="No space left") as caught:
            write(tmp_path / "study.json", b"content")
        assert caught.value.filename == str(tmp_path / "study.json")
        assert list(tmp_path.iterdir()) == []


def test_a_line_is_added_whole_or_not_at_all(tmp_path):
    path = tmp_path / "runs.jsonl"
    files.append_line(path, b"one")
    files.append_line(path, b"two")
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    return full_disk.make_inputs(tmp_path_factory.mktemp("inputs"))


def outcomes(command: str, inputs, states) -> dict[str, str]:
    try:
        found = list(full_disk.of_command(full_disk.COMMANDS[command], inputs, list(states)))
    except PermissionError as error:
        pytest.skip(str(error))
    return {state: answer.outcome for state, answer in found}


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system in memory")
@pytest.mark.parametrize("command", ["package", "curves convert, folder", "curves list"])
@pytest.mark.parametrize("state", ["full", "read-only"])
def test_without_room_a_command_says_so_in_one_line_and_works_once_there_is(command, state, inputs):
    assert outcomes(command, inputs, [state]) == {state: "one line", f"{state}, then room again": "taken"}


@pytest.mark.slow
@pytest.mark.parametrize("command", full_disk.COMMANDS)
def test_no_command_loses_anything_on_a_full_disk(command, inputs):
    found = outcomes(command, inputs, [*full_disk.LEFT, "read-only"])
    assert {state for state, outcome in found.items() if outcome != "taken"} <= {*full_disk.LEFT, "read-only"}
    assert set(found.values()) <= {"one line", "taken"}
