"""The dry run, seen from outside: a process of its own that may crash without taking the checks with it."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def dry_run(
    submission: Path, point: dict[str, Any] | None, workloads: Sequence[str], steps: int, seconds: float
) -> tuple[list[Finding], list[Figures]]:
    """Trains a few steps on each workload.

    Args:
      submission: the path of submission.py.
      point: hyperparameters, None under the self-tuning ruleset.
      workloads: names that `workloads.load` takes.
      steps: per run, at least 4.
      seconds: limit for all workloads together.

    Raises:
      ValueError: a workload that cannot be made.
    """
    findings: list[Finding] = []
    figures: list[Figures] = []
    # With whole paths: the worker has a folder of its own.
    remaining, first = [absolute(name) for name in workloads], True
    end = time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="shortlist-validate-") as folder:
        answers = Path(folder) / "answers.jsonl"
        while remaining:
            request = {
                "submission": str(submission.resolve()),
                "point": point,
                "workloads": remaining,
                "steps": steps,
                "first": first,
            }
            answers.unlink(missing_ok=True)
            ending = _process(request, Path(folder), answers, max(end - time.monotonic(), 1.0))
            started = None
            for line in answers.read_text().splitlines() if answers.exists() else []:
                answer = json.loads(line)
                findings += [Finding(**finding) for finding in answer.get("findings", [])]
                started = answer.get("started", started)
                if "unusable" in answer:
                    raise ValueError(
                        f"workload {answer['unusable']}: no dry run is possible: {answer['why']}"
                    )
                if "finished" in answer:
                    remaining.remove(answer["finished"])
                    started = None
                    if answer["figures"]:
                        figures.append(Figures(workload=answer["workload"], **answer["figures"]))
            first = False
            if started is None:
                if ending:
                    findings.append(Finding("D616", ending))
                break  # all done, or it could not be imported
            findings.append(Finding("D616", ending or "the process ended early", workload=started))
            remaining.remove(started)
            if time.monotonic() >= end:
                break
    findings += _slow(figures)
    return findings, figures


def _process(request: dict[str, Any], folder: Path, answers: Path, seconds: float) -> str:
    """Runs the worker; how it ended, empty if well."""
    file = folder / "request.json"
    file.write_text(json.dumps(request))
    # The working directory is an empty folder: a submission that looks for files there finds none, and leaves none.
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "submissions.validation._worker", str(file), str(answers)]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=scratch,
            env=_environment(),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {seconds:.0f} s"
    if done.returncode == 0:
        return ""
    last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or [""]
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    return f"the process ended with {how}: {last[0][:200]}".rstrip(": ")


def _environment() -> dict[str, str]:
    """This process's, the packages where this process found them, and no programs from earlier: what compiles again
    shall be seen to take its time, whatever cache the user has."""
    import os

    roots = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    inherited = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"}
    return {**inherited, "PYTHONPATH": os.pathsep.join(roots)}


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
