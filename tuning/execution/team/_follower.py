"""The other processes of a trial on several hosts: they do what process 0 says, and say how it ended."""

from __future__ import annotations

import contextlib
import queue
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from submissions import environment
from tuning.execution.team._common import SECONDS_TO_COME, Broken, Join, Line, Lost, Member


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
        self._line = Line(connection, 0, self._heard, member.silence)
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
                    join = Join(said["at"], self._member.index, self._member.count, self._member.silence)
                    return said["train"], FollowerInTrial(join, self.hear)
                if said is not None and said.get("end") == "":
                    return None
                if said is None or "end" in said or "silent" in said:
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
        if "silent" in said:
            why = f"nothing was heard of it for {said['silent']:g} s"
            raise Lost(f"process 0 is gone: {why}; start the run again on all hosts, with --resume")
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
