"""Process 0 of a trial on several hosts: it plans, tells the others, and hears how they end."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tuning.execution.team._common import LONGEST, SECONDS_TO_COME, Broken, Join, Line, Lost, Member, facts

SECONDS_TO_END = 60.0  # that the others have after process 0 has ended a trial
SECONDS_TO_SAY = 3.0  # that process 0's own trial has to say what it ended by, when another's has


class Leader:
    """The team as process 0 has it."""

    def __init__(self, member: Member, facts: Mapping[str, str], say: Callable[[str], None]) -> None:
        """Listens for the others. They have not come yet.

        Raises:
          OSError: of the address.
        """
        self._member, self._facts, self._say = member, dict(facts), say
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._lines: dict[int, Line] = {}
        self._hosts: dict[int, str] = {}
        self._waiting: set[int] = set()  # of whom the end of the trial is not known
        self._stopped: set[int] = set()  # who leaves after a trial that was stopped
        self._broken: tuple[float, str] | None = None  # when and by what the trial ended elsewhere
        try:
            self._listening = socket.create_server(member.place, backlog=member.count)
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror}; process 0 listens there", member.address
            ) from error

    def gather(self, is_to_stop: Callable[[], bool] = lambda: False) -> None:
        """Waits for the others.

        Raises:
          GaveUp: they do not come in time, or differ in what must be the same.
        """
        missing = self._member.count - 1
        self._say(
            f"waiting for {missing} other process{'es' if missing > 1 else ''} at {self._member.address}"
        )
        end = time.monotonic() + SECONDS_TO_COME
        self._listening.settimeout(0.2)
        while len(self._lines) < missing:
            if is_to_stop():
                raise KeyboardInterrupt
            if time.monotonic() > end:
                absent = sorted(set(range(1, self._member.count)) - set(self._lines))
                raise Lost(f"process {', '.join(map(str, absent))} did not join within {SECONDS_TO_COME:g} s")
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listening.accept()
                self._welcome(connection)

    def _welcome(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        try:
            said = json.loads(connection.makefile("rb").readline(LONGEST))
            index, host, count, theirs = (
                int(said["process"]),
                str(said["host"]),
                said["processes"],
                said["facts"],
            )
        except (OSError, ValueError, TypeError, KeyError):
            connection.close()  # somebody else
            return
        name, why = f"process {index} ({host})", ""
        if index in self._lines or not 0 < index < self._member.count:
            why = f"there is a process {index} already, or none of that number is awaited"
        elif count != self._member.count:
            why = f"it was told of {count} processes, process 0 of {self._member.count}"
        for what, value in self._facts.items():
            if not why and theirs.get(what) != value:
                why = f"{what} is {theirs.get(what)!r} there, {value!r} here"
        if why:
            with contextlib.suppress(OSError):
                connection.sendall(json.dumps({"end": f"{name} cannot take part: {why}"}).encode() + b"\n")
            connection.close()
            if index not in self._lines:
                raise Lost(f"{name} cannot take part: {why}")
            return
        self._hosts[index] = host
        self._lines[index] = Line(connection, index, self._heard, self._member.silence)

    def trial(self, spec: Mapping[str, Any]) -> LeaderInTrial:
        """Has the others train a trial along, as long as the context.

        Args:
          spec: of the trial, as JSON.
        """
        return LeaderInTrial(self, spec)

    def begin(self, spec: Mapping[str, Any]) -> Join:
        """Has the others begin to train."""
        if self._stopped:
            raise Lost(f"{self._named(min(self._stopped))} was stopped")
        host = self._member.place[0]
        join = Join(f"{host}:{_free_port(host)}", 0, self._member.count, self._member.silence)
        self._broken, self._waiting = None, set(self._lines)
        self._tell({"train": dict(spec), "at": join.address})
        return join

    def look(self) -> None:
        """See `InTrial`."""
        self._hear(0)
        if self._broken is not None and time.monotonic() > self._broken[0]:
            raise Broken(self._broken[1])

    def why(self, own: str) -> str:
        """See `InTrial`. What JAX says of a process that another left alone is not what it crashed by."""
        if self._broken is None or not _is_consequence(own) or _is_consequence(self._broken[1]):
            return own
        return self._broken[1]

    def end(self, abort: bool) -> None:
        """Waits until the others have ended, too.

        Args:
          abort: whether they are told to.

        Raises:
          Lost: one is gone, or does not end.
        """
        if abort:
            end = time.monotonic() + SECONDS_TO_SAY
            while self._broken is None and self._waiting and (left := end - time.monotonic()) > 0:
                self._hear(left)
            self._tell({"abort": "process 0 ended it"})
        end = time.monotonic() + SECONDS_TO_END
        while self._waiting:
            if (left := end - time.monotonic()) <= 0:
                raise Lost(f"{self._named(min(self._waiting))} does not end its part of a trial that is over")
            self._hear(left)

    def _hear(self, seconds: float) -> None:
        """Everything that has been said; if nothing has, what is said within so many seconds."""
        while True:
            try:
                index, said = self._heard.get(timeout=seconds) if seconds > 0 else self._heard.get_nowait()
            except queue.Empty:
                return
            seconds = 0
            if said is None and index in self._stopped:
                continue
            if said is None:
                self._waiting.discard(index)
                raise Lost(f"{self._named(index)} is gone")
            if "silent" in said:
                raise Lost(f"{self._named(index)} is gone: nothing was heard of it for {said['silent']:g} s")
            if "ended" in said:
                self._waiting.discard(index)
                if said["ended"] == "interrupted":
                    self._stopped.add(index)
                if said["ended"] == "crashed" and self._broken is None:
                    self._broken = time.monotonic() + SECONDS_TO_SAY, f"{self._named(index)}: {said['why']}"

    def _named(self, index: int) -> str:
        return f"process {index} of {self._member.count} ({self._hosts[index]})"

    def _tell(self, message: Mapping[str, Any]) -> None:
        for line in self._lines.values():
            line.say(message)

    def close(self, why: str = "") -> None:
        """Ends the run of the others.

        Args:
          why: it was ended by an error; "" where it was not.
        """
        self._tell({"end": why})
        self._listening.close()
        for line in self._lines.values():
            line.close()


class LeaderInTrial:
    """Process 0 in a trial, see `InTrial`."""

    join: Join

    def __init__(self, leader: Leader, spec: Mapping[str, Any]) -> None:
        self._leader, self._spec = leader, spec
        self.look, self.why = leader.look, leader.why

    def __enter__(self) -> LeaderInTrial:
        self.join = self._leader.begin(self._spec)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any, /) -> None:
        if kind is None or not issubclass(kind, Lost):
            self._leader.end(abort=kind is not None)


@contextlib.contextmanager
def leading(
    member: Member,
    workload: str,
    say: Callable[[str], None],
    is_to_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Leader]:
    """The team of process 0, once all have come; they end with the context.

    Raises:
      GaveUp, OSError: see `Leader`.
    """
    leader = Leader(member, facts(workload, member.silence), say)
    try:
        leader.gather(is_to_stop)
        yield leader
    except BaseException as error:
        leader.close(str(error) or type(error).__name__)
        raise
    leader.close()


def _is_consequence(why: str) -> bool:
    """Whether a process crashed by what it came to because another was gone, as far as one can tell."""
    return any(sign in why for sign in ("JaxRuntimeError", "was ended by SIGABRT"))


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as found:
        return found.getsockname()[1]
