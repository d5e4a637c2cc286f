"""The process of a Vizier service: Vizier's own server and its SQLite database, with our bandit to make suggestions.

`python -m tuning.strategies._vizier_server FOLDER PORT`, with the environment variables of `vizier.variables`; a port
of 0 is the one that it had before, or any. Vizier's default policy draws a seed of its own and takes the linear middle
of a logarithmic range first; ours makes the very suggestions that the process of `LibraryProcess` makes.
"""

from __future__ import annotations

import fcntl
import json
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

HOST = "127.0.0.1"
OURS = "shortlist"  # namespace of what the database keeps for us
DATABASE, PORT, LOCK = "vizier.db", "port", "lock"


def suggested(asked: dict[str, Any], trials: Sequence[Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """The next suggestion of a study, and what it was made of.

    Args:
      asked: what `vizier_service` keeps with the study.
      trials: all that the service knows of it.

    Returns:
      Name -> value, and the record that the trial keeps.
    """
    from tuning.strategies._vizier_worker import METRIC, suggest

    trials = sorted(trials, key=lambda trial: trial.id)
    ended = [trial for trial in trials if trial.is_completed]
    pending = [trial for trial in trials if not trial.is_completed]
    told = [trial.id - 1 for trial in ended]
    made_of = {"told": told, "pending": [trial.id - 1 for trial in pending]}
    if len(trials) < len(asked["first"]):
        return asked["first"][len(trials)], made_of
    history = [
        {
            "hyperparameters": values_of(trial),
            "value": None if trial.infeasible else trial.final_measurement.metrics[METRIC].value,
        }
        for trial in ended
    ]
    known_before = json.loads(trials[-1].metadata.ns(OURS)["made_of"])["told"] if trials else []
    values = suggest(
        asked["space"],
        asked["seed"],
        asked["minimize"],
        [*asked["earlier"], *history],
        [values_of(trial) for trial in pending],
        fresh=set(told) != set(known_before),
    )
    return values, made_of


def values_of(trial: Any) -> dict[str, float]:
    """Name -> value of a trial."""
    return {name: float(trial.parameters.get_value(name)) for name in trial.parameters}


def main(folder: Path, port: int) -> None:
    """Serves until it is told to end."""
    from vizier import pythia
    from vizier import pyvizier as vz
    from vizier.service import servers

    # The model's caches are a process's, and so is the clock of what it costs.
    one_at_a_time = threading.Lock()

    class Policy(pythia.Policy):
        def __init__(self, supporter: pythia.PolicySupporter) -> None:
            self._supporter = supporter

        def suggest(self, request: pythia.SuggestRequest) -> pythia.SuggestDecision:
            asked = json.loads(str(request.study_config.metadata.ns(OURS)["asked"]))
            with one_at_a_time:
                before = _cpu_seconds()
                values, made_of = suggested(asked, self._supporter.GetTrials())
                made_of["cpu_seconds"] = round(_cpu_seconds() - before, 3)
            suggestion = vz.TrialSuggestion(values)
            suggestion.metadata.ns(OURS)["made_of"] = json.dumps(made_of)
            return pythia.SuggestDecision(suggestions=[suggestion])

        def early_stop(self, request: pythia.EarlyStopRequest) -> pythia.EarlyStopDecisions:
            raise NotImplementedError("trials of this service are not stopped")

    def policy(problem: Any, algorithm: str, supporter: pythia.PolicySupporter, study: str) -> pythia.Policy:
        del problem, algorithm, study
        return Policy(supporter)

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        _refuse(f"{folder}: another service serves it; one at a time may")
    except OSError as error:
        _refuse(f"{folder}: {error.strerror}")
    logging.getLogger("absl").setLevel(logging.ERROR)
    port = port or _port_before(folder) or _free_port()
    try:
        server = servers.DefaultVizierServer(
            HOST,
            database_url=f"sqlite:///{(folder / DATABASE).resolve()}",  # type: ignore[call-arg]
            port=port,  # type: ignore[call-arg]
            policy_factory=policy,  # type: ignore[call-arg]
        )
    except RuntimeError as error:  # gRPC's, of an address that is taken
        _refuse(f"port {port} cannot be served ({error}); choose another with --port")
    (folder / PORT).write_text(f"{port}\n")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    print(server.endpoint, flush=True)
    while True:
        signal.pause()


def _refuse(why: str) -> NoReturn:
    print(f"shortlist: {why}", file=sys.stderr)
    sys.exit(2)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _port_before(folder: Path) -> int:
    """The port that this folder's service had, if it is free: workers that outlived it find it again; else 0."""
    try:
        port = int((folder / PORT).read_text())
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((HOST, port))
    except (OSError, ValueError):
        return 0
    return port


def _free_port() -> int:
    with socket.socket() as tried:
        tried.bind((HOST, 0))
        return tried.getsockname()[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
