"""Processes in which the libraries of sequential strategies run, so that what they switch never meets training.

One process serves all workloads of this one: it starts when it is first needed, stays warm, and is asked one thing at a
time. While it computes, other threads train. Nothing here imports a library of a strategy.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from tuning.strategies import _meter

ROOT = str(Path(__file__).resolve().parents[2])


class _Running(NamedTuple):
    process: subprocess.Popen[str]
    folder: tempfile.TemporaryDirectory[str]  # of its stderr, and of what it writes

    @property
    def errors(self) -> Path:
        return Path(self.folder.name) / "stderr"


class LibraryProcess:
    """The process of one library.

    Attributes:
      library: what messages call it.
      module: of `suggest`, which it runs.
      requires: packages without which it is not started.
      install: the command that installs them.
      variables: its own folder -> environment variables, which take precedence over this process's.
      command: what starts it.
    """

    def __init__(
        self,
        library: str,
        module: str,
        requires: Sequence[str],
        install: str,
        variables: Callable[[Path], Mapping[str, str]] = lambda folder: {},
        command: Sequence[str] | None = None,
    ) -> None:
        self.library, self.module, self.requires, self.install = library, module, tuple(requires), install
        self.variables = variables
        self.command = command or (sys.executable, "-P", "-m", "tuning.strategies._worker", module)
        self._lock = threading.Lock()
        self._running: _Running | None = None
        atexit.register(self.stop)

    def require_installed(self) -> None:
        """Accepts an installation that has what the library needs.

        Raises:
          ValueError: a package is missing; names the command that installs it.
        """
        missing = [name for name in self.requires if importlib.util.find_spec(name) is None]
        if missing:
            raise ValueError(self._not_installed(f"no {', '.join(missing)}"))

    def ask(self, request: Mapping[str, Any]) -> dict[str, float]:
        """The answer to a request, unchecked. What it cost goes to whoever meters it.

        Raises:
          ValueError: a package is missing.
          RuntimeError: the library failed, or its process ended.
        """
        with self._lock:
            running = self._started()
            stdin, stdout = cast(IO[str], running.process.stdin), cast(IO[str], running.process.stdout)
            try:
                stdin.write(json.dumps(request) + "\n")
                stdin.flush()
                line = stdout.readline()
            except BrokenPipeError:
                line = ""
            except BaseException:
                self.stop()  # an answer that nobody waited for must not be taken for the next request's
                raise
            if not line:
                status = running.process.wait()
                last = " / ".join(running.errors.read_text(errors="replace").strip().splitlines()[-3:])
                self.stop()
                raise RuntimeError(f"the {self.library} worker ended with status {status}: {last}")
        answer = json.loads(line)
        if "missing" in answer:
            raise ValueError(self._not_installed(answer["missing"]))
        if "error" in answer:
            raise RuntimeError(f"{self.library} failed: {answer['error']}")
        _meter.add(answer.get("cpu_seconds", 0.0))
        return answer["hyperparameters"]

    def stop(self) -> None:
        """Ends the process, if there is one."""
        if self._running is not None:
            self._running.process.kill()
            self._running.process.communicate()  # closes the pipes
            self._running.folder.cleanup()
            self._running = None

    def _not_installed(self, what: str) -> str:
        return f"{self.library} needs packages that are not installed ({what}): {self.install}"

    def _started(self) -> _Running:
        if self._running is None:
            folder = tempfile.TemporaryDirectory(
                prefix=f"shortlist-{self.library.lower().replace(' ', '-')}-"
            )
            paths = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
            environment = {**os.environ, "PYTHONPATH": paths, **self.variables(Path(folder.name))}
            with open(Path(folder.name) / "stderr", "w") as errors:
                process = subprocess.Popen(
                    self.command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    text=True,
                    start_new_session=True,  # Ctrl-C is for this process; the worker ends when its stdin does
                )
            self._running = _Running(process, folder)
        return self._running
