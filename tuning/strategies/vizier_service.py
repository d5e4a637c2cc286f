"""A Vizier service: a process of its own with a database on disk, which several workers ask for points of one study.

The service is Vizier's server, started by `command`. A worker talks to it by gRPC, and imports Vizier's client alone,
which has neither a model nor another precision. What the service has answered is on disk.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import socket
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results.studies import Suggestion
from tuning.strategies import _vizier_server
from tuning.strategies._process import ROOT
from tuning.strategies._vizier_worker import METRIC, problem
from tuning.strategies.vizier import PROCESS, Vizier, variables

OWNER = "shortlist"
DATABASE = _vizier_server.DATABASE
_connecting = threading.Lock()  # the client's library keeps the address in a global variable


def command(folder: Path, port: int | None) -> tuple[list[str], dict[str, str]]:
    """What starts a service, and its environment variables. It prints its address once it answers.

    Args:
      folder: of its database.
      port: None: the one that it had before, or any.

    Raises:
      ValueError: a package is missing.
    """
    PROCESS.require_installed()
    paths = os.pathsep.join(filter(None, (ROOT, os.environ.get("PYTHONPATH"))))
    started = [sys.executable, "-P", "-m", _vizier_server.__name__, str(folder), str(port or 0)]
    return started, {**os.environ, "PYTHONPATH": paths, **variables(folder)}


class ServiceAwayError(ConnectionError):
    """The service does not answer."""


@dataclasses.dataclass(frozen=True)
class Served:
    """A suggestion as the service knows it.

    Attributes:
      suggestion: what it is, its hyperparameters those that are searched.
      ended: whether the service was told what became of it.
      value: what it was told; None where it diverged, or has not ended.
    """

    suggestion: Suggestion
    ended: bool
    value: float | None


class ServedStudy:
    """The search on one workload of one study.

    Args:
      address: HOST:PORT of the service.
      name: of the search, unique in the service.
      strategy: for the one workload.
      minimize: direction of the values.

    Raises:
      ValueError: no address, or Vizier is not installed.
    """

    def __init__(self, address: str, name: str, strategy: Vizier, minimize: bool) -> None:
        check_address(address)
        PROCESS.require_installed()
        earlier = strategy.warm_start.told if strategy.warm_start else {}
        first = strategy.warm_start.first if strategy.warm_start else ()
        self._asked = {
            "space": strategy.searched(),
            "seed": strategy.seed,
            "minimize": minimize,
            "first": [strategy.told_of(values) for values in first],
            "earlier": strategy.history([trial for trials in earlier.values() for trial in trials]),
        }
        # What is asked is in the name: a study whose first attempt came to nothing may ask for something else.
        text = json.dumps(self._asked, sort_keys=True)
        self._name = (
            f"{re.sub(r'[^A-Za-z0-9@._-]', '_', name)}.{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        )
        self._address, self._strategy, self._text = address, strategy, text
        self._study: Any = None

    def suggestions(self) -> list[Served]:
        """All that the service has suggested, in order."""
        with self._calling() as study:
            trials = sorted(study.trials().get(), key=lambda trial: trial.id)
        return [self._served(trial) for trial in trials]

    def suggest(self, client: str) -> Suggestion:
        """A new suggestion, which is the client's.

        Raises:
          RuntimeError: Vizier failed.
          ServiceAwayError: the service does not answer. It may have made the suggestion all the same.
        """
        # A name of its own for every call: what a killed service was computing for a client stays begun for ever,
        # and whoever asks by the same name is told to wait for that.
        with self._calling() as study:
            (trial,) = study.suggest(count=1, client_id=f"{client}:{uuid.uuid4().hex[:8]}")
            made = trial.materialize()
        return self._served(made).suggestion

    def tell(self, number: int, value: float | None) -> None:
        """What became of a suggestion: a value, or None where it diverged. Saying it twice is saying it once.

        Raises:
          ValueError: the service was told something else.
        """
        from vizier import pyvizier as vz

        with self._calling() as study:
            trial = study.get_trial(number + 1)
            now = self._served(trial.materialize())
            if not now.ended and value is None:
                trial.complete(infeasible_reason="diverged")
            elif not now.ended:
                trial.complete(vz.Measurement({METRIC: value}))
        if now.ended and now.value != value:
            raise ValueError(
                f"{self._named(number)} was told {now.value}, and the study has {value}; start the study anew"
            )

    def restore(self, suggestion: Suggestion) -> None:
        """Gives the service the next suggestion, which it has lost: as outstanding, nobody's."""
        from vizier import pyvizier as vz

        given = vz.TrialSuggestion(self._strategy.told_of(suggestion.hyperparameters))
        made_of = {name: getattr(suggestion, name) for name in ("told", "pending", "cpu_seconds")}
        given.metadata.ns(_vizier_server.OURS)["made_of"] = json.dumps(made_of)
        with self._calling() as study:
            study.request(given)
        self.suggest("restored")

    def activate(self) -> None:
        """Ends a restoring that was broken off."""
        with self._calling() as study:
            waiting = [trial for trial in study.trials().get() if trial.is_requested]
        for _ in waiting:
            self.suggest("restored")

    def _served(self, trial: Any) -> Served:
        made_of = json.loads(trial.metadata.ns(_vizier_server.OURS)["made_of"])
        number = trial.id - 1
        suggestion = Suggestion(
            number=number,
            hyperparameters=self._strategy.checked(_vizier_server.values_of(trial), number),
            told=tuple(made_of["told"]),
            pending=tuple(made_of["pending"]),
            client=(trial.assigned_worker or "").rpartition(":")[0],
            cpu_seconds=made_of["cpu_seconds"],
        )
        ended = trial.is_completed
        known = ended and not trial.infeasible
        return Served(suggestion, ended, trial.final_measurement.metrics[METRIC].value if known else None)

    def _named(self, number: int) -> str:
        return f"the Vizier service at {self._address}: suggestion {number} of {self._name}"

    @contextlib.contextmanager
    def _calling(self) -> Iterator[Any]:
        """The client's study; errors of gRPC as ours."""
        import grpc
        from vizier.service import clients

        try:
            if self._study is None:
                with _connecting:
                    clients.environment_variables.server_endpoint = self._address
                    self._study = clients.Study.from_study_config(
                        self._config(), owner=OWNER, study_id=self._name
                    )
            yield self._study
        except grpc.FutureTimeoutError:
            raise away(self._address) from None
        except grpc.RpcError as error:
            code, details = error.code(), error.details()  # type: ignore[attr-defined]
            if code == grpc.StatusCode.UNAVAILABLE:
                raise away(self._address) from None
            raise RuntimeError(f"the Vizier service at {self._address} failed: {details}") from None

    def _config(self) -> Any:
        from vizier.service import pyvizier as svz

        config = svz.StudyConfig.from_problem(problem(self._asked["space"], self._asked["minimize"]))
        config.metadata.ns(_vizier_server.OURS)["asked"] = self._text
        return config


def check_address(address: str) -> None:
    """Accepts HOST:PORT.

    Raises:
      ValueError: something else.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise ValueError(
            f"--service is {address!r}; must be HOST:PORT, as 'shortlist vizier-service' prints it"
        )


def check_answers(address: str) -> None:
    """Accepts the address of somebody who answers.

    Raises:
      ValueError: no address.
      ServiceAwayError: nobody does.
    """
    check_address(address)
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError:
        raise away(address) from None


def away(address: str) -> ServiceAwayError:
    """That nobody answers there."""
    return ServiceAwayError(
        f"no Vizier service answers at {address}; start it again on its folder with 'shortlist vizier-service', and "
        "run the same command: what was trained is kept"
    )
