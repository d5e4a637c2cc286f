"""Vizier's default algorithm, a Gaussian-process bandit, asked for one trial at a time.

It runs in a worker process, because it needs JAX in float64 and training does not. One worker serves this
whole process, and starts when it is first needed. Nothing here imports JAX or Vizier.

The first suggestion is the centre of the space. The second costs some 40 seconds of CPU time, later ones 15.
"""

from __future__ import annotations

import atexit
import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple, Self, cast

from submissions.points import Point, Told
from submissions.spaces import MEDAPATI_TABLE_1, Choices, SearchSpace
from tuning.strategies._space import SPACE, space_to_search
from tuning.strategies._strategy import Asked, Row, Strategy, check_whole

REQUIRED = ("vizier", "chex", "flax", "equinox", "jaxopt", "tensorflow_probability", "typeguard")

_COMMAND = (sys.executable, "-P", "-m", "tuning.strategies._vizier_worker")


@dataclasses.dataclass(frozen=True)
class Vizier(Strategy):
    """One trial after the other; ids count them.

    Attributes:
      budget: number of points.
      space: what it searches.
      seed: of its own randomness.
    """

    budget: int
    space: SearchSpace = MEDAPATI_TABLE_1
    seed: int = 0

    def __post_init__(self) -> None:
        check_whole(self, budget=1, seed=0)

    @property
    def title(self) -> str:
        return "Vizier"

    def ask(self, told: Sequence[Told]) -> tuple[Point, ...]:
        for number, trial in enumerate(told):
            if trial.point.id != str(number):
                raise ValueError(f"told of point {trial.point.id} where point {number} was expected")
        if len(told) >= self.budget:
            return ()
        return (Point(str(len(told)), suggest(self.space, self.seed, told)),)

    @classmethod
    def planned(cls, asked: Asked) -> Self:
        return cls(asked.budget, space_to_search(asked), asked.seed)


ROW = Row(
    Vizier,
    asks="sequential",
    role="baseline",
    takes=(SPACE,),
    reference="arXiv:2503.03986, section 3.1.1, with google-vizier",
)


class _Worker(NamedTuple):
    process: subprocess.Popen[str]
    folder: tempfile.TemporaryDirectory[str]  # of its stderr, and of what it compiled

    @property
    def errors(self) -> Path:
        return Path(self.folder.name) / "stderr"


_lock = threading.Lock()
_worker: _Worker | None = None


def suggest(space: SearchSpace, seed: int, told: Sequence[Told]) -> dict[str, float]:
    """The bandit's next suggestion, a deterministic function of the arguments.

    Args:
      space: what to search; a dimension with a single choice is passed over and filled in.
      seed: of the study, in 0..2^32 - 1.
      told: all trials so far, in order; those without a value are told to Vizier as infeasible.

    Returns:
      Name -> value, checked: every dimension is there, finite, and within its bounds.

    Raises:
      ValueError: the extra is not installed, the space has nothing to search, or the history does not belong
        to it.
      RuntimeError: the worker failed, or its suggestion is no point of the space.

    Reference: the baseline of Medapati et al. 2025, arXiv:2503.03986, section 3.1.1, which used Google's
    internal service; this is google-vizier's local designer.
    """
    require_installed()
    if not 0 <= seed < 2**32:
        raise ValueError(f"vizier: seed is {seed}; must lie in 0..{2**32 - 1}")
    if len({trial.minimize for trial in told}) > 1:
        raise ValueError("vizier: some trials are to be minimised and others maximised; must all agree")
    fixed = {
        name: dimension.feasible_points[0]
        for name, dimension in space.dimensions
        if isinstance(dimension, Choices) and len(set(dimension.feasible_points)) == 1
    }
    searched = {name: entry for name, entry in space.to_json().items() if name not in fixed}
    if not searched:
        raise ValueError("vizier: every dimension of the search space has a single choice; nothing to search")
    for trial in told:
        space.check(trial.point)
    history = [
        {"hyperparameters": {name: t.point.hyperparameters[name] for name in searched}, "value": t.value}
        for t in told
    ]
    minimize = told[0].minimize if told else True  # the first suggestion does not depend on it
    answer = _ask({"space": searched, "seed": seed, "minimize": minimize, "history": history})
    try:
        point = Point(str(len(told)), {name: (answer | fixed)[name] for name in space.names})
        space.check(point)
    except (KeyError, ValueError) as error:
        # Seen with the process in float32: a NaN coordinate, dropped on the way, left a parameter out.
        raise RuntimeError(f"vizier suggested {answer}, which is no point of the space: {error}") from None
    return dict(point.hyperparameters)


def require_installed() -> None:
    """Accepts an installation that has the extra.

    Raises:
      ValueError: a package is missing; names the command that installs it.
    """
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(_not_installed(f"no {', '.join(missing)}"))


def _not_installed(what: str) -> str:
    return f"vizier needs packages that are not installed ({what}): pip install 'shortlist[vizier]'"


def _ask(request: Mapping[str, Any]) -> dict[str, float]:
    with _lock:
        worker = _started()
        stdin, stdout = cast(IO[str], worker.process.stdin), cast(IO[str], worker.process.stdout)
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            line = stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:
            _stop()  # an answer that nobody waited for must not be taken for the next request's
            raise
        if not line:
            status = worker.process.wait()
            last = " / ".join(worker.errors.read_text(errors="replace").strip().splitlines()[-3:])
            _stop()
            raise RuntimeError(f"the Vizier worker ended with status {status}: {last}")
    answer = json.loads(line)
    if "missing" in answer:
        raise ValueError(_not_installed(answer["missing"]))
    if "error" in answer:
        raise RuntimeError(f"Vizier failed: {answer['error']}")
    return answer["hyperparameters"]


def _started() -> _Worker:
    global _worker
    if _worker is None:
        folder = tempfile.TemporaryDirectory(prefix="shortlist-vizier-")
        root = str(Path(__file__).resolve().parents[2])
        # Vizier makes new function objects for every suggestion, so JAX traces them all anew; that the
        # programs are the same only a cache on disk finds out. It halves the time of a suggestion.
        cache = {
            "JAX_COMPILATION_CACHE_DIR": folder.name,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        environment = {
            **cache,
            **os.environ,
            "JAX_ENABLE_X64": "1",
            "JAX_PLATFORMS": "cpu",  # the accelerators belong to training
            "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        }
        with open(Path(folder.name) / "stderr", "w") as errors:
            process = subprocess.Popen(
                _COMMAND,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                text=True,
                start_new_session=True,  # Ctrl-C is for this process; the worker ends when its stdin does
            )
        _worker = _Worker(process, folder)
    return _worker


@atexit.register
def _stop() -> None:
    """Ends the worker, if there is one."""
    global _worker
    if _worker is not None:
        _worker.process.kill()
        _worker.process.communicate()  # closes the pipes
        _worker.folder.cleanup()
        _worker = None
