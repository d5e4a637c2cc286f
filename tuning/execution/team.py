"""One trial on several hosts: the commands that take part, what they tell each other, and how they notice an end.

Every host runs the same command. That of process 0 plans, records and writes; the others train along, in a process per
trial as it does (`submissions.api` says what these agree on), and keep nothing. The commands are joined by a line of
JSON at a time over TCP: what to train, how it ended, that all is over. So a process that dies is noticed by a
connection that ends, at once, and not after the minute or two that JAX waits for a heartbeat. Nothing here needs JAX.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import workloads
from submissions import environment
from submissions.api.failures import Refused
from tuning.execution.stopping import GaveUp

SECONDS_TO_COME = 600.0  # that the others have to join
SECONDS_TO_END = 60.0  # that they have after process 0 has ended a trial
SECONDS_TO_SAY = 3.0  # that process 0's own trial has to say what it ended by, when another's has
LONGEST = 2**24  # bytes of a message
SILENT = (
    (("TCP_KEEPIDLE"), 10),
    ("TCP_KEEPINTVL", 5),
    ("TCP_KEEPCNT", 3),
)  # a host that vanishes: half a minute


class Lost(GaveUp):
    """A process of the team is gone, or has ended the run."""


class Broken(Exception):
    """The trial has ended by the fault of another process; the run goes on."""


@dataclasses.dataclass(frozen=True)
class Member:
    """Which process this is, and where process 0 is.

    Attributes:
      address: HOST:PORT, of process 0.
      index: of this process.
      count: of processes.
    """

    address: str
    index: int
    count: int

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(
                f"processes is {self.count}; several hosts are at least 2, one needs no coordinator"
            )
        if not 0 <= self.index < self.count:
            raise ValueError(f"process_id is {self.index}; must lie in 0..{self.count - 1}")
        self.place  # noqa: B018

    @property
    def place(self) -> tuple[str, int]:
        """Host and port."""
        host, colon, port = self.address.rpartition(":")
        if not colon or not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ValueError(
                f"coordinator is {self.address!r}; must be HOST:PORT of process 0, such as node1:6380"
            )
        return host.strip("[]"), int(port)


@dataclasses.dataclass(frozen=True)
class Join:
    """How the process of a trial joins those of the other hosts, see `joined`."""

    address: str
    index: int
    count: int

    def to_json(self) -> str:
        """As `from_json` takes it."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Join:
        """What `to_json` gave."""
        return cls(**json.loads(text))


def joined(join: Join) -> None:
    """Joins the processes of a trial: from here on JAX has the devices of all of them.

    Raises:
      Refused: they have not the same devices.
      Exception: JAX's, where they do not find each other.
    """
    import jax

    jax.distributed.initialize(
        join.address,
        join.count,
        join.index,
        cluster_detection_method="deactivate",  # under Slurm it would take one device per process
        initialization_timeout=int(SECONDS_TO_COME),
        coordinator_bind_address=join.address,
    )
    kinds: dict[int, list[str]] = {}
    for device in jax.devices():
        kinds.setdefault(device.process_index, []).append(device.device_kind)
    for index, found in kinds.items():
        if found != kinds[0]:
            raise Refused(
                f"process 0 has {len(kinds[0])} devices ({kinds[0][0]}), process {index} {len(found)} ({found[0]}); "
                "one trial needs the same on all hosts"
            )


class InTrial(Protocol):
    """A process of the team while a trial trains: a context, that ends when the trial has ended everywhere.

    Attributes:
      join: how its process joins the others.
    """

    @property
    def join(self) -> Join: ...

    def look(self) -> None:
        """To be called every so often.

        Raises:
          Broken: the trial has ended elsewhere.
          Lost: another process is gone, or has ended the run.
        """
        ...

    def why(self, own: str) -> str:
        """What a trial crashed by that crashed here by `own`."""
        ...

    def __enter__(self) -> object: ...

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> bool | None: ...


class _Line:
    """A connection that says and hears JSON, a line each; what it hears comes with a number of its own."""

    def __init__(
        self, connection: socket.socket, number: int, heard: queue.SimpleQueue[tuple[int, Any]]
    ) -> None:
        self._connection, self._number, self._heard = connection, number, heard
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in SILENT:
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        threading.Thread(target=self._listen, name="team", daemon=True).start()

    def say(self, message: Mapping[str, Any]) -> None:
        """Sends a message; one that nobody hears any more is dropped, as the end of the line is heard as well."""
        with contextlib.suppress(OSError):
            self._connection.sendall(json.dumps(message).encode() + b"\n")

    def close(self) -> None:
        """Ends the line."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._connection.makefile("rb") as lines:
            while (line := lines.readline(LONGEST)).endswith(b"\n"):
                self._heard.put((self._number, json.loads(line)))
        self._heard.put((self._number, None))


def facts(workload: str) -> dict[str, str]:
    """What must be the same on all hosts, as far as it is known before a trial.

    Args:
      workload: as it is recorded.
    """
    own = workloads.own_file(workload)
    content = "" if own is None else hashlib.sha256(Path(own.path).read_bytes()).hexdigest()[:12]
    said = {
        "workload": workload,
        "the workload's own file": content,
        "Shortlist's source": environment.source()[:12],
    }
    return said | {f"version of {name}": version for name, version in environment.versions().items()}


class Leader:
    """The team as process 0 has it."""

    def __init__(self, member: Member, facts: Mapping[str, str], say: Callable[[str], None]) -> None:
        """Listens for the others. They have not come yet.

        Raises:
          OSError: of the address.
        """
        self._member, self._facts, self._say = member, dict(facts), say
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        self._lines: dict[int, _Line] = {}
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
        self._lines[index] = _Line(connection, index, self._heard)

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
        join = Join(f"{host}:{_free_port(host)}", 0, self._member.count)
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
    leader = Leader(member, facts(workload), say)
    try:
        leader.gather(is_to_stop)
        yield leader
    except BaseException as error:
        leader.close(str(error) or type(error).__name__)
        raise
    leader.close()


class Follower:
    """The team as another process has it."""

    def __init__(self, member: Member, facts: Mapping[str, str], is_to_stop: Callable[[], bool]) -> None:
        """Joins process 0.

        Raises:
          GaveUp: it is not there in time.
        """
        self._member = member
        self._heard: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        end = time.monotonic() + SECONDS_TO_COME
        while True:
            try:
                connection = socket.create_connection(member.place, timeout=10)
                break
            except OSError as error:
                if is_to_stop():
                    raise KeyboardInterrupt from None
                if time.monotonic() > end:
                    why = error.strerror or str(error)
                    raise Lost(f"process 0 is not at {member.address} ({why})") from None
                time.sleep(0.2)
        self._line = _Line(connection, 0, self._heard)
        hello = {"process": member.index, "processes": member.count, "host": environment.host()}
        self._line.say(hello | {"facts": dict(facts)})

    def next_trial(self, is_to_stop: Callable[[], bool]) -> tuple[dict[str, Any], FollowerInTrial] | None:
        """The next trial, as JSON, and this process in it; None: the run is over.

        Raises:
          Lost: process 0 is gone, or has ended the run by an error.
          KeyboardInterrupt: it was to stop.
        """
        while not is_to_stop():
            with contextlib.suppress(queue.Empty):
                _, said = self._heard.get(timeout=0.2)
                if said is not None and "train" in said:
                    join = Join(said["at"], self._member.index, self._member.count)
                    return said["train"], FollowerInTrial(join, self.hear)
                if said is not None and said.get("end") == "":
                    return None
                if said is None or "end" in said:
                    self._over(said)
        raise KeyboardInterrupt

    def hear(self) -> str | None:
        """What process 0 says that it ended the trial for, if it has.

        Raises:
          Lost: it is gone, or has ended the run.
        """
        with contextlib.suppress(queue.Empty):
            _, said = self._heard.get_nowait()
            if said is not None and "abort" in said:
                return said["abort"]
            self._over(said)
        return None

    def ended(self, status: str, why: str) -> None:
        """Says how the trial ended here."""
        self._line.say({"ended": status, "why": why})

    def close(self) -> None:
        """Leaves."""
        self._line.close()

    def _over(self, said: Mapping[str, Any] | None) -> None:
        if said is None:
            raise Lost("process 0 is gone; start the run again on all hosts, with --resume")
        if "end" in said:
            raise Lost(said["end"] or "process 0 has ended the run")


class FollowerInTrial:
    """Another process in a trial, see `InTrial`.

    Attributes:
      aborted: process 0 has ended it.
    """

    def __init__(self, join: Join, hear: Callable[[], str | None]) -> None:
        self.join, self._hear, self.aborted = join, hear, False

    def __enter__(self) -> FollowerInTrial:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any, /) -> None:
        """Process 0 is told by whoever knows the outcome."""

    def look(self) -> None:
        """See `InTrial`."""
        if (why := self._hear()) is not None:
            self.aborted = True
            raise Broken(why)

    def why(self, own: str) -> str:
        """See `InTrial`."""
        return own


def _is_consequence(why: str) -> bool:
    """Whether a process crashed by what it came to because another was gone, as far as one can tell."""
    return any(sign in why for sign in ("JaxRuntimeError", "was ended by SIGABRT"))


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as found:
        return found.getsockname()[1]
