"""The dry run, seen from outside: a process of its own that may crash without taking the checks with it."""

from __future__ import annotations

import dataclasses
import json
import math
import secrets
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from submissions.validation._channel import Forged
from submissions.validation._isolation import WHAT, Isolation, candidates, command, environment, missing
from submissions.validation._supervise import Ending, Limits, supervise
from submissions.validation.findings import Finding
from workloads.own_files import absolute

# Of different kinds, each small: dropout; convolutions whose batch norm keeps moving averages; a recurrent net over an
# embedding; a table of embeddings with sigmoid outputs; an objective without data, model or dropout.
WORKLOADS = (
    "algoperf/mnist",
    "taskset/FixedImageConv_cifar10_batchnorm_32x64x64_bs128@batch_norm=moving_average",
    "stdlib/char_rnn",
    "clicks/mlp",
    "taskset/quadratic_family_seed2",
)
SLOW = 10.0  # times plain Adam's step
SLOW_SECONDS = 0.005  # and so much longer: below, it is Python's own time on a tiny model


@dataclasses.dataclass(frozen=True)
class Figures:
    """How fast the steps of one workload were.

    Attributes:
      workload: its name.
      steps: so many were done, twice.
      batch_size: examples per step.
      first_step_seconds: with compilation.
      step_seconds: the fastest later step.
      adam_step_seconds: the fastest step of plain Adam in the same process.
    """

    workload: str
    steps: int
    batch_size: int
    first_step_seconds: float
    step_seconds: float
    adam_step_seconds: float

    @property
    def ratio(self) -> float:
        """Times plain Adam's step."""
        return self.step_seconds / self.adam_step_seconds


def middle_point(space: Any) -> dict[str, Any] | None:
    """The first point of a list, or the middle of ranges; None without a search space."""
    if space is None:
        return None
    if isinstance(space, list):
        return dict(space[0])
    return {name: _middle(dimension) for name, dimension in space.items()}


def _middle(dimension: dict[str, Any]) -> Any:
    if "feasible_points" in dimension:
        return dimension["feasible_points"][len(dimension["feasible_points"]) // 2]
    low, high = dimension["min"], dimension["max"]
    return math.sqrt(low * high) if dimension["scaling"] == "log" else (low + high) / 2


@dataclasses.dataclass
class Outcome:
    """What the dry run came to.

    Attributes:
      findings: of all workloads.
      figures: of those that were trained.
      isolation: how the code was run.
      finished: the process said at the end that nothing was left to do, and ended well.
    """

    findings: list[Finding]
    figures: list[Figures]
    isolation: Isolation
    finished: bool = False


def dry_run(
    submission: Path,
    point: dict[str, Any] | None,
    workloads: Sequence[str],
    steps: int,
    limits: Limits,
    isolation: str,
    sources: Sequence[Path],
    trusted: Sequence[Path],
) -> Outcome:
    """Trains a few steps on each workload.

    Args:
      submission: the path of submission.py.
      point: hyperparameters, None under the self-tuning ruleset.
      workloads: names that `workloads.load` takes.
      steps: per run, at least 4.
      limits: for all workloads together.
      isolation: one of `ISOLATION`.
      sources: files that belong to the submission, besides those in its folder.
      trusted: folders of the workloads' files, which are not its.

    Raises:
      ValueError: a workload that cannot be made, or a sandbox is required and there is none.
    """
    ways, refused = candidates(isolation), []
    # With whole paths: the worker has a folder of its own.
    remaining = [absolute(name) for name in workloads]
    first, end = True, time.monotonic() + limits.seconds
    outcome = Outcome([], [], Isolation(False, ""))
    while True:
        why = missing(ways[0])
        if not why:
            request = {
                "submission": str(submission.resolve()),
                "point": point,
                "workloads": remaining,
                "steps": steps,
                "first": first,
                "sources": [str(one) for one in sources],
                "trusted": [str(one) for one in trusted],
            }
            state = _State(list(remaining))
            left = dataclasses.replace(limits, seconds=max(end - time.monotonic(), 1.0))
            ending = _process(
                ways[0], request, [submission.resolve().parent, *sources, *trusted], left, state
            )
            if not state.ready and ways[0] != "off" and not ending.late:
                why = ending.said or str(ending)  # nothing of the submission has run
        if why:
            refused.append(f"{ways.pop(0)}: {why}")
            if not ways:
                raise ValueError(
                    f"no sandbox for the dry run ({'; '.join(refused)}); install bubblewrap, or allow "
                    "--isolation off for code that you trust"
                )
            continue
        how = {"off": "; ".join(refused) or "not asked for"}.get(ways[0], f"{ways[0]}: {WHAT}")
        outcome.isolation, ways = Isolation(ways[0] != "off", how), ways[:1]
        outcome.findings += state.findings
        outcome.figures += state.figures
        if state.unusable:
            raise ValueError(f"workload {state.unusable}")
        remaining, first = state.remaining, False
        outcome.finished = (
            state.phase == "ended" and not remaining and ending.status == 0 and not ending.forged
        )
        fault = _fault(ending, state, limits)
        if fault:
            outcome.findings.append(Finding(*fault, workload=state.workload))
        if state.workload in remaining:
            remaining.remove(state.workload)
        if (
            outcome.finished
            or not state.workload
            or not remaining
            or time.monotonic() >= end
            or ending.forged
        ):
            break
    outcome.findings += _slow(outcome.figures)
    return outcome


def _fault(ending: Ending, state: _State, limits: Limits) -> tuple[str, str] | None:
    """(code, message) where a process did not end as it should."""
    if ending.forged:
        return "D618", ending.forged
    if ending.exceeded:
        return "D619", f"{ending.exceeded}, {state.doing}"
    if ending.late:
        return "D616", f"no answer within {limits.seconds:.0f} s, {state.doing}"
    if state.phase != "ended" or ending.status != 0:
        return "D616", f"{ending}, {state.doing}"
    return None


class _State:
    """How far a process has come, by what it says; only what can follow is believed."""

    def __init__(self, remaining: list[str]) -> None:
        self.remaining, self.workload, self.phase, self.unusable = remaining, "", "", ""
        self.findings: list[Finding] = []
        self.figures: list[Figures] = []

    @property
    def ready(self) -> bool:
        """Whether the process came as far as to run something of the submission."""
        return self.phase != ""

    @property
    def doing(self) -> str:
        """What it was doing, for people."""
        if self.phase in ("", "ready"):
            return "while it was imported" if self.phase else "before anything of the submission was run"
        return f"in phase {self.phase!r}" if not self.workload else "before the workload was done"

    def take(self, answer: dict[str, Any]) -> None:
        """One answer.

        Raises:
          Forged: it cannot come here.
        """
        self.findings += [Finding(**finding) for finding in answer.get("findings", [])]
        if "noted" in answer:
            self.findings.append(Finding(**answer["noted"]))
            return
        (said,) = set(answer) & set(_FOLLOWS)
        if self.phase not in _FOLLOWS[said] or (
            said == "ended" and self.phase != "failed" and self.remaining
        ):
            raise Forged(f"{said!r} does not follow {self.phase!r}")
        self.phase = said
        if said == "started":
            self.workload = answer["started"]
        elif said == "unusable":
            self.unusable = f"{answer['unusable']}: no dry run is possible: {answer['why']}"
            self.phase, self.workload = "failed", ""
        elif said == "finished":
            if answer["finished"] != self.workload:
                raise Forged(f"{answer['finished']} was not started")
            self.remaining.remove(self.workload)
            if answer["figures"]:
                self.figures.append(Figures(workload=answer["workload"], **answer["figures"]))
            self.workload = ""


# What is said -> what must have been said before.
_FOLLOWS = {
    "ready": ("",),
    "imported": ("ready",),
    "failed": ("ready",),
    "started": ("imported", "finished"),
    "unusable": ("started",),
    "finished": ("started",),
    "ended": ("imported", "finished", "failed"),
}


def _process(
    way: str, request: dict[str, Any], readable: list[Path], limits: Limits, state: _State
) -> Ending:
    """Runs the worker once."""
    key = secrets.token_bytes(32)
    # Not "python FILE" and not the working directory: what the submission leaves there is never imported.
    worker = ["-P", "-m", "submissions.validation._worker", "{request}", "{answers}"]
    asked = {**request, "key": key.hex(), "memory": limits.memory}
    with tempfile.TemporaryDirectory(prefix="shortlist-validate-") as folder:
        # Empty: a submission that looks for files in the working directory finds none, and leaves none.
        scratch, root = Path(folder, "scratch"), Path(folder, "root")
        scratch.mkdir()
        root.mkdir()
        line = command(way, worker, readable, root)
        return supervise(line, json.dumps(asked).encode(), key, environment(way), scratch, limits, state.take)


def _slow(figures: list[Figures]) -> list[Finding]:
    """One finding if most workloads' steps are slow: a single one may be the fault of the machine."""
    if not figures:
        return []
    ratio = statistics.median(one.ratio for one in figures)
    extra = statistics.median(one.step_seconds - one.adam_step_seconds for one in figures)
    if ratio < SLOW or extra < SLOW_SECONDS:
        return []
    worst = max(figures, key=lambda one: one.ratio)
    message = (
        f"{ratio:.0f} times plain Adam's step, in the median over {len(figures)} workloads; "
        f"{worst.step_seconds * 1e3:.1f} ms against {worst.adam_step_seconds * 1e3:.1f} ms on {worst.workload}"
    )
    return [Finding("D611", message)]
