"""Files that appear whole or not at all, and leave nothing beside them, whatever ends the writing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from workloads.data import files

WRITERS = {"atomically": files.write_atomically, "once": files.write_once}
KILLED = """
import os, pathlib, signal, sys
from workloads.data import files

os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
files.WRITER(pathlib.Path(sys.argv[1]), b"content")
"""


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch, write):
    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path / "study.json", b"content")
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    write(tmp_path / "study.json", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["study.json"]


@pytest.mark.parametrize("writer", ["write_atomically", "write_once"])
def test_what_a_kill_inside_a_write_leaves_is_swept_and_nothing_else(tmp_path, writer):
    below = tmp_path / "trials" / "a__b"
    below.mkdir(parents=True)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED.replace("WRITER", writer), str(below / "00000.parquet")]
    )
    assert ended.returncode == -signal.SIGKILL
    (left,) = below.iterdir()
    assert files.is_temporary(left.name)
    mine = below / left.name.replace(left.name.rsplit("-", 2)[1], str(os.getpid()))  # of a process that runs
    elsewhere, earlier = below / f".a.{'0' * 8}-1-{'0' * 12}.tmp", below / f".study.json.{'0' * 32}.tmp"
    other = below / ".somebodys.tmp"
    for path in (mine, elsewhere, earlier, other):
        path.write_bytes(b"half")
    files.sweep(tmp_path)
    assert set(below.iterdir()) == {mine, elsewhere, earlier, other}
    hours_ago = time.time() - 2 * files.SECONDS_UNTIL_LEFT
    for path in (mine, elsewhere, earlier, other):
        os.utime(path, (hours_ago, hours_ago))
    files.sweep(tmp_path)
    assert set(below.iterdir()) == {other}


def test_names_of_any_length_that_a_disk_takes_can_be_written(tmp_path):
    files.write_atomically(tmp_path / ("n" * 255), b"content")
    files.write_once(tmp_path / ("ö" * 127), b"content")
    assert len(list(tmp_path.iterdir())) == 2
