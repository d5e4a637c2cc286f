"""What a hostile submission does is seen, is confined where there is a sandbox, and never passes by ending early."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from submissions.validation import inspect
from submissions.validation._channel import Forged, Receiver, sender
from submissions.validation._isolation import command, environment, missing
from submissions.validation._supervise import Limits, supervise
from tests.submissions.validation.behaviours import CHEAP, ENDS, LINES, write
from tests.submissions.validation.examples import healthy, top

linux = pytest.mark.skipif(sys.platform != "linux", reason="the processes are found in /proc")
KEY = b"k" * 32


def works(way: str) -> str:
    """Why a sandbox does not work here; empty if it does."""
    return missing(way) or _tried(way)


def _tried(way: str) -> str:
    ending = run("pass", way)
    return "" if ending.status == 0 else ending.said or str(ending)


def run(code: str, way: str = "off", **limits):
    """A few lines of Python in a way to run the worker."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        line = command(way, ["-c", f"import os, sys, time\n{code}"], [], Path(folder))
        return supervise(
            line,
            b"",
            KEY,
            environment(way),
            Path(folder),
            Limits(**{"seconds": 20, **limits}),
            lambda _: None,
        )


@pytest.fixture(params=["bubblewrap", "namespaces"])
def sandbox(request):
    if why := works(request.param):
        pytest.skip(f"{request.param} does not work here: {why}")
    return request.param


# ---- All behaviours --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["auto", "off"])
def test_every_behaviour_is_seen_in_its_line(way, tmp_path):
    folder = write(tmp_path / "hostile", *(statement for _, statement in LINES.values()))
    source = (folder / "submission.py").read_text().splitlines()
    checked = inspect(folder, workloads=CHEAP, steps=4, isolation=way)
    seen: dict[str, set[str]] = {}
    for finding in checked.findings:
        seen.setdefault(source[finding.line - 1].strip(), set()).add(finding.code)
    unseen = [name for name, (codes, line) in LINES.items() if not codes & seen.get(line, set())]
    print(f"{len(LINES) - len(unseen)} of {len(LINES)} behaviours seen, {len(unseen)} unseen")
    assert unseen == []
    assert checked.isolation is not None
    assert way != "off" or not checked.isolation.isolated


@pytest.mark.slow
@pytest.mark.parametrize("name", ENDS)
def test_what_ends_the_process_never_passes(name, tmp_path):
    codes, statement = ENDS[name]
    checked = inspect(
        write(tmp_path / "hostile", statement, guarded=False), workloads=CHEAP, steps=4, seconds=120
    )
    assert not checked.passed
    assert codes & {finding.code for finding in checked.findings}


@pytest.mark.parametrize(
    ("line", "code"), [("raise SystemExit(0)", "D601"), ("import os; os._exit(0)", "D616")]
)
def test_an_end_at_import_is_no_pass(line, code, tmp_path):
    folder = healthy(tmp_path / "healthy")
    top(line)(folder)
    checked = inspect(folder, workloads=CHEAP, steps=4)
    assert code in {finding.code for finding in checked.findings}
    assert not checked.finished
    assert not checked.passed


# ---- Answers ---------------------------------------------------------------------------------------------------


def answers(*lines: bytes) -> list[dict]:
    receiver = Receiver(KEY)
    found = [answer for line in lines for answer in receiver.feed(line)]
    receiver.close()
    return found


@pytest.fixture
def said():
    reading, writing = os.pipe()
    send = sender(writing, KEY)
    send(ready=True)
    send(ended=True)
    os.close(writing)
    with os.fdopen(reading, "rb") as file:
        return file.read().splitlines(keepends=True)


def test_answers_arrive_as_they_were_sent(said):
    assert answers(b"".join(said)) == [{"ready": True}, {"ended": True}]


@pytest.mark.parametrize("forge", ["added", "left out", "repeated", "changed", "cut"])
def test_answers_that_are_not_the_senders_are_refused(forge, said):
    lines = {
        "added": [*said, b'{"ended": true}\n'],
        "left out": said[1:],
        "repeated": [*said, said[1]],
        "changed": [said[0], said[1].replace(b"true", b"null")],
        "cut": [said[0], said[1][:-1]],
    }[forge]
    with pytest.raises(Forged):
        answers(*lines)


# ---- Limits, and what is left ----------------------------------------------------------------------------------


def test_output_is_counted_and_not_kept():
    ending = run("while True: os.write(2, b'x' * 65536)", output=1 << 20)
    assert "bytes of output" in ending.exceeded


def test_time_is_limited():
    assert run("time.sleep(60)", seconds=0.5).late


@linux
def test_processes_are_limited():
    ending = run("[os.fork() or time.sleep(60) for _ in range(30)]\ntime.sleep(60)", processes=10)
    assert "processes" in ending.exceeded


@linux
def test_memory_is_limited():
    assert "memory" in run("x = b'x' * (1 << 28)\ntime.sleep(60)", memory=1 << 27).exceeded


@linux
def test_a_child_that_holds_the_output_neither_delays_the_answer_nor_lives_on(tmp_path):
    name = f"sleeper-{os.getpid()}"
    code = f"if not os.fork():\n os.setsid()\n os.fork()\n os.execv('/bin/sleep', [{name!r}, '77'])\ntime.sleep(.1)"
    start = time.monotonic()
    assert run(code).status == 0
    assert time.monotonic() - start < 15
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert name not in listed


def test_a_signal_is_told():
    assert "signal 9" in str(run("os.kill(os.getpid(), 9)"))


# ---- Sandboxes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "open('/usr/written', 'w')",
        "open(sys.prefix + '/written', 'w')",
        "open('/written', 'w')",
        "__import__('socket').create_connection(('1.1.1.1', 53), 2)",
        "os.kill(int(os.environ['SHORTLIST_TEST_PARENT']), 0)",
        "open(os.environ['SHORTLIST_TEST_FILE'])",
        "__import__('ctypes').CDLL(None, use_errno=True).mount(b'x', b'/tmp', b'tmpfs', 0, None) == 0 or 1 / 0",
    ],
)
def test_a_sandbox_refuses(code, sandbox, monkeypatch, tmp_path):
    (tmp_path / "secret").write_text("x")
    monkeypatch.setenv("SHORTLIST_TEST_PARENT", str(os.getpid()))
    monkeypatch.setenv("SHORTLIST_TEST_FILE", str(tmp_path / "secret"))
    ending = run(code, sandbox)
    assert ending.status == 1, ending
    assert "Error" in ending.said


def test_a_sandbox_has_folders_of_its_own_and_no_secrets(sandbox, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    code = "import tempfile; tempfile.TemporaryFile().write(b'x'); open('here', 'w')\n"
    assert run(code + "assert 'SECRET_TOKEN' not in os.environ", sandbox).status == 0


def test_a_healthy_submission_passes_in_a_sandbox(sandbox, tmp_path):
    checked = inspect(healthy(tmp_path / "healthy"), workloads=CHEAP, steps=4, isolation=sandbox)
    assert checked.findings == []
    assert checked.passed
    assert checked.to_json()["isolated"] is True


def test_a_sandbox_that_is_required_and_missing_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = tmp_path / "ran"
    folder = healthy(tmp_path / "healthy")
    top(f"open({str(ran)!r}, 'w').close()")(folder)
    with pytest.raises(ValueError, match="no bwrap on PATH"):
        inspect(folder, workloads=CHEAP, steps=4, isolation="bubblewrap")
    assert not ran.exists()


def test_bad_calls_say_what_would_be_right(tmp_path):
    folder = healthy(tmp_path / "healthy")
    with pytest.raises(ValueError, match="known: auto, require, off"):
        inspect(folder, isolation="jail")
    with pytest.raises(ValueError, match="must be positive"):
        inspect(folder, seconds=0)
