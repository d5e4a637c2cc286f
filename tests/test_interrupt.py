"""Ctrl-C of a long command: the first says what it waits for, the second ends it now, and both say what is kept."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

PROGRAM = """
import sys, threading, time
import polars  # whose handler lets blocking calls go on
from shortlist._interrupt import interruptible
from tuning.execution.stopping import Stop

stop = Stop()
{before}
say = lambda: print("ended", flush=True)
with interruptible(stop, waits_for=stop.waits_for, kept="two halves are kept", at_once=say):
    {body}
print("not reached", flush=True)
"""
WORKS = """
    with stop.under_way("a long training"):
        print("ready", flush=True)
        while not stop.is_set() or {and_on}:
            {blocks}
"""
READS = "sys.stdin.buffer.raw.read(1)"  # deaf to signals once Polars is there
SLEEPS = "time.sleep(0.01)"
SAYS = "shortlist: waiting for a long training; press Ctrl-C again to stop now\n"
KEPT = "shortlist: interrupted; two halves are kept\n"


def start(body, before=""):
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(body=body.strip(), before=before)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_first_lets_what_has_begun_end_and_says_what_that_is():
    process = start(WORKS.format(and_on=False, blocks=SLEEPS))
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", SAYS + KEPT)


@pytest.mark.parametrize("blocks", [READS, SLEEPS])
def test_the_second_ends_the_process_whatever_it_is_doing(blocks):
    process = start(WORKS.format(and_on=True, blocks=blocks))
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == SAYS
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert time.monotonic() - began < 5
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "ended\n", KEPT)


@pytest.mark.parametrize("blocks", [READS, "time.sleep(60)"])
def test_where_nothing_has_begun_the_first_ends_it(blocks):
    process = start(f'print("ready", flush=True); {blocks}')
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    assert time.monotonic() - began < 5
    out, err = process.communicate()
    assert (process.returncode, out, err) == (130, "", KEPT)


def test_what_a_library_makes_of_the_first_one_is_no_error():
    body = """
    try:
        print("ready", flush=True)
        time.sleep(60)
    except KeyboardInterrupt as error:
        raise RuntimeError("a callback failed") from error
"""
    process = start(body)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", KEPT)


def test_whoever_had_it_ignored_is_not_interrupted():
    ignored = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
    process = start('print("ready", flush=True); time.sleep(0.3)', ignored)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "not reached\n", "")


def test_an_error_is_raised_as_it_is_and_handlers_are_put_back():
    from shortlist._interrupt import interruptible
    from tuning.execution.stopping import Stop

    before = signal.getsignal(signal.SIGINT)
    stop = Stop()
    with pytest.raises(ValueError, match="bad"), interruptible(stop, waits_for=stop.waits_for, kept=""):
        raise ValueError("bad")
    assert signal.getsignal(signal.SIGINT) == before
    assert not stop.is_set()
