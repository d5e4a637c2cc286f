"""Who takes part in a trial on several hosts, how their processes join, and how what one tells the other travels."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import queue
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import workloads
from submissions import environment
from submissions.api.failures import Refused
from tuning.execution.stopping import GaveUp

SECONDS_TO_COME = 600.0  # that the others have to join
SECONDS_OF_SILENCE = 60.0  # after which a process that says nothing is taken for lost
LONGEST = 2**24  # bytes of a message
SILENT = (
    ("TCP_KEEPIDLE", 10),
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
      silence: seconds after which a process of which nothing is heard is taken for lost; the same for all.
    """

    address: str
    index: int
    count: int
    silence: float = SECONDS_OF_SILENCE

    def __post_init__(self) -> None:
        if self.silence < 1:
            raise ValueError(f"silence is {self.silence}; must be at least a second")
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
    """How the process of a trial joins those of the other hosts, see `joined`.

    Attributes:
      address, index, count: as of `Member`, of the processes of the trial.
      silence: likewise; the commands notice a silent host first, and JAX a process that hangs half as long after.
    """

    address: str
    index: int
    count: int
    silence: float = SECONDS_OF_SILENCE

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
        heartbeat_timeout_seconds=math.ceil(1.5 * join.silence),
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


class Line:
    """A connection that says and hears JSON, a line each; what it hears comes with a number of its own.

    An empty line says that whoever is there still runs. Where not even that comes, {"silent": seconds} is heard.
    """

    def __init__(
        self,
        connection: socket.socket,
        number: int,
        heard: queue.SimpleQueue[tuple[int, Any]],
        silence: float = SECONDS_OF_SILENCE,
    ) -> None:
        self._connection, self._number, self._heard, self._silence = connection, number, heard, silence
        self._saying, self._closed, self._last = threading.Lock(), threading.Event(), time.monotonic()
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in SILENT:
            if hasattr(socket, name):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        for work in (self._listen, self._live):
            threading.Thread(target=work, name="team", daemon=True).start()

    def say(self, message: Mapping[str, Any]) -> None:
        """Sends a message; one that nobody hears any more is dropped, as the end of the line is heard as well."""
        self._send(json.dumps(message).encode() + b"\n")

    def _send(self, line: bytes) -> None:
        with contextlib.suppress(OSError), self._saying:
            self._connection.sendall(line)

    def close(self) -> None:
        """Ends the line."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._connection.makefile("rb") as lines:
            while (line := lines.readline(LONGEST)).endswith(b"\n"):
                self._last = time.monotonic()
                if line != b"\n":
                    self._heard.put((self._number, json.loads(line)))
        self._closed.set()
        self._heard.put((self._number, None))

    def _live(self) -> None:
        """Says that this process runs, and looks whether the other one does."""
        woken = time.monotonic()
        while not self._closed.wait(self._silence / 6):
            before, woken = woken, time.monotonic()
            # This process itself did not run: what was said is not read yet.
            if woken - before > self._silence / 2:
                self._last = woken
            self._send(b"\n")
            if woken - self._last > self._silence:
                self._heard.put((self._number, {"silent": self._silence}))
                return


def facts(workload: str, silence: float) -> dict[str, str]:
    """What must be the same on all hosts, as far as it is known before a trial.

    Args:
      workload: as it is recorded.
      silence: see `Member`.
    """
    own = workloads.own_file(workload)
    content = "" if own is None else hashlib.sha256(Path(own.path).read_bytes()).hexdigest()[:12]
    said = {
        "workload": workload,
        "--silence": f"{silence:g}",
        "the workload's own file": content,
        "Shortlist's source": environment.source()[:12],
    }
    return said | {f"version of {name}": version for name, version in environment.versions().items()}
