"""One process of the dry run from start to end: its answers, its output, its limits, and that nothing of it is left."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from submissions.validation._channel import Forged, Receiver

TICK = 0.1  # seconds between looks at its processes
TAIL = 4096  # bytes of output that are kept


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a dry run may use, all its processes together.

    Attributes:
      seconds: of wall-clock time.
      memory: bytes that are in use.
      processes: at once.
      output: bytes printed.
    """

    seconds: float
    memory: int = 8 << 30
    processes: int = 64
    output: int = 16 << 20


@dataclasses.dataclass
class Ending:
    """How a process ended.

    Attributes:
      status: its exit status, 128 + n for signal n; None if it was stopped here.
      forged: why its answers are not to be believed; empty if they are.
      exceeded: which limit it went beyond; empty if none.
      late: whether it ran out of time.
      said: the last line that it printed to stderr.
    """

    status: int | None = None
    forged: str = ""
    exceeded: str = ""
    late: bool = False
    said: str = ""

    def __str__(self) -> str:
        status = self.status or 0
        how = f"signal {status - 128}" if status > 128 else f"exit status {status}"
        return f"the process ended with {how}: {self.said}".rstrip(": ")


def supervise(
    command: list[str],
    request: bytes,
    key: bytes,
    environment: dict[str, str],
    folder: Path,
    limits: Limits,
    answered: Callable[[dict[str, Any]], None],
) -> Ending:
    """Runs a command, whose arguments `{request}` and `{answers}` become descriptors.

    Args:
      command: what to run.
      request: what it can read from the first descriptor.
      key: with which it signs what it writes to the second.
      environment: all of its variables.
      folder: its working directory.
      limits: beyond which it is stopped.
      answered: called with every answer; raises `Forged` for one that cannot follow those before.
    """
    ending, receiver = Ending(), Receiver(key)
    with contextlib.ExitStack() as stack:
        asked = stack.enter_context(tempfile.TemporaryFile())
        asked.write(request)
        asked.seek(0)
        reading, writing = os.pipe()
        stack.callback(os.close, reading)
        try:
            descriptors = {"{request}": str(asked.fileno()), "{answers}": str(writing)}
            process = subprocess.Popen(
                [descriptors.get(word, word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=folder,
                env=environment,
                pass_fds=(asked.fileno(), writing),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        stack.callback(_end, process)
        streams = _Streams(process, reading)
        stack.callback(streams.close)
        end = time.monotonic() + limits.seconds
        looked = 0.0
        try:
            while (status := process.poll()) is None:
                for data in streams.read(TICK):
                    for answer in receiver.feed(data):
                        answered(answer)
                now = time.monotonic()
                if now > end:
                    ending.late = True
                elif streams.printed > limits.output:
                    ending.exceeded = f"more than {limits.output:,} bytes of output"
                elif now - looked > TICK:
                    looked, ending.exceeded = now, _beyond(process.pid, limits)
                if ending.late or ending.exceeded:
                    break
            else:
                ending.status = status if status >= 0 else 128 - status
            _end(process)
            # What is in the pipe now is all that counts: who else holds its other end is not waited for.
            while chunks := streams.read(0):
                for data in chunks:
                    for answer in receiver.feed(data):
                        answered(answer)
            if not (ending.late or ending.exceeded):
                receiver.close()
        except (Forged, KeyError, TypeError, ValueError) as error:
            ending.forged = str(error) or type(error).__name__
        ending.said = streams.last_line()
    return ending


class _Streams:
    """The answers, and the ends of what is printed."""

    def __init__(self, process: subprocess.Popen[bytes], answers: int) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.printed = 0
        self._answers, self._files = answers, (process.stdout, process.stderr)
        self._errors, self._tail = process.stderr.fileno(), b""
        self._selector = selectors.DefaultSelector()
        for descriptor in (answers, process.stdout.fileno(), self._errors):
            os.set_blocking(descriptor, False)
            self._selector.register(descriptor, selectors.EVENT_READ)
        self._exit = -1
        with contextlib.suppress(AttributeError, OSError):  # only Linux tells of an end at once
            self._exit = os.pidfd_open(process.pid)
            self._selector.register(self._exit, selectors.EVENT_READ)

    def read(self, seconds: float) -> list[bytes]:
        """Pieces of answers, waiting so long at most for anything."""
        pieces = []
        for key, _ in self._selector.select(seconds):
            if key.fd == self._exit:
                continue
            with contextlib.suppress(BlockingIOError):
                data = os.read(key.fd, 1 << 16)
                if not data:
                    self._selector.unregister(key.fd)
                elif key.fd == self._answers:
                    pieces.append(data)
                else:
                    self.printed += len(data)
                    if key.fd == self._errors:
                        self._tail = (self._tail + data)[-TAIL:]
        return pieces

    def last_line(self) -> str:
        """Of what was printed to stderr."""
        lines = [line for line in self._tail.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip()[:200] if lines else ""

    def close(self) -> None:
        """Closes all that was opened here."""
        self._selector.close()
        for file in self._files:
            file.close()
        if self._exit >= 0:
            os.close(self._exit)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and what came from it."""
    if process.poll() is None:
        process.terminate()  # the keeper sweeps; a sandbox ends with its first process
        try:
            process.wait(6)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _beyond(process: int, limits: Limits) -> str:
    """Which limit a process and its descendants are beyond."""
    parents: dict[int, int] = {}
    memory: dict[int, int] = {}
    try:
        names = [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return ""  # not Linux
    for name in names:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            parents[int(name)], memory[int(name)] = int(fields[1]), int(fields[21])
    family = {process}
    while more := {one for one, parent in parents.items() if parent in family} - family:
        family |= more
    if len(family) > limits.processes:
        return f"more than {limits.processes} processes"
    if sum(memory.get(one, 0) for one in family) * os.sysconf("SC_PAGE_SIZE") > limits.memory:
        return f"more than {limits.memory / 2**30:.0f} GiB of memory"
    return ""
