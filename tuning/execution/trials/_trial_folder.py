"""What lies in a trial's folder beside its logs: what was asked for, and how it ended."""

from __future__ import annotations

import dataclasses
import errno
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from submissions.api import TrialOutcome, TrialSpec, evaluations
from submissions.statuses import STATUSES
from workloads.data.files import write_atomically

OUTCOME, SPEC = "outcome.json", "trial.json"
ENDED = tuple(
    status for status in STATUSES if status not in ("crashed", "interrupted")
)  # never trained again
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of whatever file: the machine has no room

# What a trial's numbers come from, as `run` and its command line call it. Paths are compared by what they lead to.
_FLAGS = {
    "workload": "workload",
    "seed": "rng_seed (of this trial)",
    "hyperparameters": "hyperparameters",
    "eval_period_steps": "eval_period_steps",
    "stop_at_targets": "stop_at_targets",
    "skip_evals": "skip_evals",
    "max_global_steps": "max_global_steps",
    "precision": "precision",
    "micro_batches": "micro_batches",
    "submission_sha256": "submission (SHA-256 of its own files)",
}
_Read = TypeVar("_Read")


def read_outcome(folder: Path) -> TrialOutcome | None:
    """How the trial in a folder ended; None if it has not.

    Raises:
      ValueError: the file is damaged.
    """
    file = folder / OUTCOME
    if not file.is_file():
        return None
    return _read(file, TrialOutcome, "delete it, and --resume goes on from the trial's last checkpoint")


def write_outcome(outcome: TrialOutcome) -> None:
    """Writes down how a trial ended."""
    content = json.dumps(dataclasses.asdict(outcome), indent=1)
    write_atomically(Path(outcome.folder) / OUTCOME, content.encode() + b"\n")


def read_spec(file: Path) -> TrialSpec:
    """What was asked of a trial.

    Raises:
      ValueError: the file is damaged.
    """
    return _read(file, TrialSpec, "delete it to go on with the flags that are given now, or --overwrite")


def write_spec(spec: TrialSpec) -> Path:
    """Writes down what is asked of a trial."""
    file = Path(spec.folder) / SPEC
    write_atomically(file, json.dumps(dataclasses.asdict(spec), indent=1).encode() + b"\n")
    return file


def check_same(spec: TrialSpec, ended: TrialOutcome | None) -> None:
    """Accepts what is asked of a trial that has begun.

    A trial that has not ended may be given more steps, and one that crashed another submission: that it crashed may
    have been its fault.

    Args:
      spec: what is asked now.
      ended: how the trial ended, if it has.

    Raises:
      ValueError: its numbers would not be those of one training.
    """
    file = Path(spec.folder) / SPEC
    if not file.is_file():
        return
    begun = read_spec(file)
    differing = {
        name: (old, new)
        for name in _FLAGS
        if (old := getattr(begun, name)) != (new := getattr(spec, name))
        and not _may_change(name, old, new, ended)
    }
    for name in ("data_dir", "imagenet_v2_data_dir"):  # folders move; the trial looks at what is in them
        old, new = getattr(begun, name), getattr(spec, name)
        if (old is None) != (new is None):
            differing[name] = (old, new)
    if differing:
        said = "; ".join(
            f"{_FLAGS.get(name, name)} was {_json(a)}, now {_json(b)}" for name, (a, b) in differing.items()
        )
        raise ValueError(
            f"{file}: trial {spec.trial} was begun with other flags: {said}. Ask for the same, for another "
            "--experiment-name, or --overwrite to train it anew"
        )


def check_arithmetic(asked: TrialSpec, trials: Iterable[Path]) -> None:
    """Accepts how steps are computed in an experiment: alike in all of its trials of a workload.

    Args:
      asked: what is asked now.
      trials: folders of trials that stay.

    Raises:
      ValueError: one was computed otherwise.
    """
    for folder in trials:
        if (folder / SPEC).is_file() and (begun := read_spec(folder / SPEC)).arithmetic != asked.arithmetic:
            raise ValueError(
                f"{folder / SPEC}: trained with {_said(begun)}, now {_said(asked)}; numbers of both are not to be "
                "mixed: ask for the same, or for another --experiment-name"
            )


def _said(spec: TrialSpec) -> str:
    return f"--precision {spec.precision} --micro-batches {spec.micro_batches}"


def with_last_evaluation(outcome: TrialOutcome) -> TrialOutcome:
    """The outcome of a trial that did not come to say what it had made: what its last evaluation says."""
    try:
        rows = evaluations(Path(outcome.folder))
    except ValueError:
        return outcome
    if not rows:
        return outcome
    metrics = {
        name: float(value)
        for name, value in rows[-1].items()
        if "/" in name and value and not name.endswith("num_examples")
    }
    return dataclasses.replace(
        outcome,
        global_step=int(float(rows[-1]["global_step"])),
        score=float(rows[-1].get("accumulated_submission_time") or 0.0),
        metrics=metrics,
    )


def lacks_evaluations(outcome: TrialOutcome) -> str:
    """Why the table of a trial that has ended does not hold its last evaluation; "" if it does, or there was none."""
    if not outcome.metrics:
        return ""
    file = Path(outcome.folder) / "eval_measurements.csv"
    try:
        rows = evaluations(Path(outcome.folder))
    except ValueError as error:
        return str(error)
    if not rows:
        return f"{file}: {'has no rows' if file.exists() else 'is missing'}"
    if any(rows[-1].get(name) != str(value) for name, value in outcome.metrics.items()):
        return f"{file}: lacks the last evaluation"
    return ""


def is_the_systems(error: BaseException, folder: Path) -> TypeGuard[OSError]:
    """Whether the machine failed, and not the submission: a full disk, or a trial's own file that cannot be written."""
    if not isinstance(error, OSError) or error.errno is None:
        return False
    own = isinstance(error.filename, str) and Path(error.filename).is_relative_to(folder)
    return own or error.errno in _DISK


def _may_change(name: str, old: Any, new: Any, ended: TrialOutcome | None) -> bool:
    over = ended is not None and ended.status in ENDED
    if name == "max_global_steps":
        return not over and (new is None or (old is not None and new > old))
    if name == "submission_sha256":
        return old is None or new is None or (ended is not None and ended.status == "crashed")
    return False


def _json(value: Any) -> str:
    return json.dumps(value) if not isinstance(value, str) else value


def _read(file: Path, kind: type[_Read], remedy: str) -> _Read:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"holds {type(content).__name__}")
        found = kind(**content)
        for field in dataclasses.fields(kind):  # type: ignore[arg-type]
            _check_field(field.name, getattr(found, field.name))
    except (ValueError, TypeError, RecursionError) as error:
        said = str(error).replace(f"{kind.__name__}.__init__() ", "")
        raise ValueError(f"{file}: damaged ({said}); {remedy}") from error
    return found


def _check_field(name: str, value: Any) -> None:
    kinds: Mapping[str, Any] = {
        "trial": int, "folder": str, "reason": str, "global_step": int, "score": int | float, "metrics": dict,
        "submission_path": str, "workload": str, "seed": int, "hyperparameters": dict | None, "flags": dict,
        "max_global_steps": int | None, "eval_period_steps": int | None,
    }  # fmt: skip
    if name in kinds and not isinstance(value, kinds[name]):
        raise TypeError(f"{name} is {value!r}")
    if name == "status" and value not in STATUSES:
        raise ValueError(f"status is {value!r}, not one of {', '.join(STATUSES)}")
