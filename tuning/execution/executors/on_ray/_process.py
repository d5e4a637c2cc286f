"""The process that speaks to Ray, as the executor sees it, and the folder of a Ray of our own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from submissions import environment
from tuning.execution.executors.on_ray import _messages, surroundings

_SECONDS_TO_END = 60.0  # that Ray is given to end its processes


class DriverProcess:
    """A process of `_driver`, which ends with its standard input."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        """Starts it.

        Args:
          plan: `address`, `device`, `workers` and `each` of `_driver.Plan`.

        Raises:
          ValueError: others can read the cluster's token.
        """
        given = dict(os.environ) | environment.for_workers()
        if plan["address"] is None:
            self._folder = surroundings.own_folder()
            around = surroundings.of_our_own(self._folder, given)
            own = {"folder": str(self._folder), "home": os.environ.get("HOME")}
        else:
            self._folder = None
            around, own = surroundings.of_a_cluster(given), {"folder": None, "home": None}
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "tuning.execution.executors.on_ray._driver",
                json.dumps({**plan, **own}),
            ],
            env=around,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the process that asked
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._process.stdin as questions, self._process.stdout as answers:
            self._questions = Connection(os.dup(questions.fileno()), readable=False)
            self._answers = Connection(os.dup(answers.fileno()), writable=False)

    def send(self, header: dict[str, Any], content: bytes = b"") -> None:
        """Sends a message. That nobody hears it any more, whoever listens to the answers learns."""
        with contextlib.suppress(OSError):
            _messages.send(self._questions, header, content)

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Waits for a message.

        Raises:
          EOFError: there will be none.
        """
        return _messages.receive(self._answers)

    def hang_up(self) -> None:
        """Lets it end."""
        if not self._questions.closed:
            self._questions.close()

    def end(self) -> int:
        """Waits for its end and removes what is left. Returns its status."""
        self.hang_up()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._answers.close()
        if self._folder is not None:
            surroundings.remove(self._folder)
        return self._process.returncode
