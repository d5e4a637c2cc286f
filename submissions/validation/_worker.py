"""The dry run's own process: `python -m submissions.validation._worker REQUEST ANSWERS`.

REQUEST is a JSON file; to ANSWERS a line of JSON is added before and after each workload, so that what was found
before a crash is kept, and the parent knows which workload it was.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import jax
import numpy as np

from submissions import api
from submissions.api import loading
from submissions.api.loading import Submission
from submissions.validation import _watched
from submissions.validation._audit import Audit
from submissions.validation._files import required_packages
from submissions.validation._reference import plain_adam
from submissions.validation._source import ENVIRONMENT
from submissions.validation._workload_names import BASE_WORKLOADS
from submissions.validation.findings import relative
from workloads import recorded_name

BATCH_SIZE = 32  # at most: what is looked for does not depend on it
AT_LEAST = 0.02  # seconds: shorter compilations are single operations run from Python
SHARE = 0.25  # of the first step's compilation: below, it is not the step that was compiled again


def main(request_file: str, answers_file: str) -> None:
    """Runs what the request names and writes the answers."""
    request = json.loads(Path(request_file).read_text())
    answers = Answers(Path(answers_file))
    path = Path(request["submission"])
    api.install()
    compilations, audit = _watched.Compilations(), Audit(path.parent)
    try:
        submission = loading.load(path)
    except Exception as error:
        code = "D617" if _is_provided_elsewhere(error, path.parent) else "D601"
        answers.add(findings=[_failure(code, "import", error, path.parent, "")])
        return
    if request["first"]:
        answers.add(findings=batch_size_findings(submission))
    for name in request["workloads"]:
        answers.add(started=name)
        try:
            called = recorded_name(name)  # a submission is told no path
            workload = api.algoperf_workload(called, device_axis=submission.device_axis)
        except Exception as error:  # not the submission's fault
            answers.add(unusable=name, why=f"{type(error).__name__}: {error}")
            return
        findings, figures = dry_run(
            submission, workload, called, request["point"], request["steps"], compilations
        )
        for code, message, file, line in audit.seen:
            findings.append(_finding(code, message, relative(Path(file), path.parent), line, ""))
        answers.add(finished=name, workload=called, findings=findings, figures=figures)


class Answers:
    """A file of JSON lines."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def add(self, **answer: Any) -> None:
        """One line, written through at once."""
        with self.file.open("a") as lines:
            lines.write(json.dumps(answer) + "\n")


def _finding(code: str, message: str, file: str = "", line: int = 0, workload: str = "") -> dict[str, Any]:
    return {"code": code, "message": message, "file": file, "line": line, "workload": workload}


def _failure(code: str, doing: str, error: BaseException, folder: Path, workload: str) -> dict[str, Any]:
    """A finding of an exception, at the last line of the submission's own code that it passed."""
    where = [
        (frame.filename, frame.lineno or 0)
        for one in reversed(_chain(error))
        for frame in traceback.extract_tb(one.__traceback__)
        if frame.filename.startswith(str(folder.resolve()))
    ]
    file, line = where[-1] if where else ("", 0)
    said = " ".join(str(error).split())
    message = f"{doing}: {type(error).__name__}: {said[:300]}"
    return _finding(code, message, relative(Path(file), folder) if file else "", line, workload)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and its causes: who loads or traces code may raise one of its own from the submission's."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _is_provided_elsewhere(error: BaseException, folder: Path) -> bool:
    """Whether what cannot be imported is there where AlgoPerf runs the submission."""
    provided = ENVIRONMENT | required_packages(folder)
    missing = [one.name for one in _chain(error) if isinstance(one, ModuleNotFoundError) and one.name]
    return any(name.partition(".")[0] in provided for name in missing)


def batch_size_findings(submission: Submission) -> list[dict[str, Any]]:
    """Faults of get_batch_size, asked as AlgoPerf asks it."""
    findings, folder = [], submission.path.parent
    for name in BASE_WORKLOADS:
        try:
            size = submission.get_batch_size(name)
        except Exception as error:
            findings.append(_failure("A205", f"get_batch_size({name!r})", error, folder, ""))
            break
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            message = f"get_batch_size({name!r}) returned {size!r}"
            line = submission.get_batch_size.__code__.co_firstlineno
            findings.append(_finding("A205", message, submission.path.name, line))
            break
    try:
        submission.get_batch_size("a_workload_of_tomorrow")
    except ValueError:
        pass
    except Exception as error:
        findings.append(_failure("A205", "get_batch_size of an unknown name", error, folder, ""))
    return findings


def dry_run(
    submission: Submission,
    workload: Any,
    name: str,
    point: dict[str, Any] | None,
    steps: int,
    compilations: _watched.Compilations,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Findings of one workload, and figures: seconds per step, beside plain Adam's."""
    folder = submission.path.parent
    figures: dict[str, Any] = {}
    try:
        size = loading.batch_size(submission, name, default=workload.batch_size)
    except ValueError as error:
        return [_failure("A205", "get_batch_size", error, folder, name)], figures
    size = max(min(size, BATCH_SIZE) // jax.device_count(), 1) * jax.device_count()
    runs: list[_watched.Watched] = []
    for _ in range(2):
        try:
            runs.append(_watched.run(submission, workload, point, size, steps, compilations))
        except _watched.CallFailed as failed:
            cause = failed.__cause__ or failed
            deleted = "deleted" in str(cause) or "donated" in str(cause)
            code = "D612" if deleted else "D602"
            finding = _failure(code, str(failed), cause, folder, name)
            if isinstance(
                cause, (TypeError, AttributeError)
            ):  # so does a function that JAX has changed since
                finding["message"] += f" (with JAX {jax.__version__})"
            return [finding], figures
        if runs[-1].faults and runs[-1].params is None:
            break
    first = runs[0]
    findings = [_finding(code, message, workload=name) for code, message in first.faults]
    if len(runs) == 2 and first.params is not None:
        findings += _numbers(runs, name)
    if (
        not submission.device_axis
    ):  # JAX's pmap of today compiles twice what that of AlgoPerf 0.5 compiled once
        findings += _recompilations(first.steps, name)
    if first.params is not None:
        reference = plain_adam(api.algoperf_workload(name), size, steps)
        # The fastest step of either: what else the machine does only ever adds time.
        figures = {
            "steps": steps,
            "batch_size": size,
            "first_step_seconds": first.steps[0].seconds,
            "step_seconds": min(step.seconds for run in runs for step in run.steps[1:]),
            "adam_step_seconds": min(reference[1:]),
        }
    return findings, figures


def _numbers(runs: list[_watched.Watched], name: str) -> list[dict[str, Any]]:
    findings, (first, second) = [], runs
    bad = sum(int(np.sum(~np.isfinite(x))) for x in first.params if np.issubdtype(x.dtype, np.floating))
    if bad:
        total = sum(x.size for x in first.params)
        findings.append(
            _finding("D603", f"{bad:,} of {total:,} values after {len(first.steps)} steps", workload=name)
        )
    if not first.moved:
        message = f"all parameters are what they were before {len(first.steps)} steps"
        findings.append(_finding("D614", message, workload=name))
    for what, one, other in (
        ("parameters", first.params, second.params),
        ("optimizer_state", first.state, second.state),
    ):
        if other is None or not _same_bits(one, other):
            message = f"{what} differ after {len(first.steps)} steps from the same seed"
            findings.append(_finding("D608", message, workload=name))
            break
    return findings


def _same_bits(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return len(one) == len(other) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(one, other, strict=True)
    )


def _recompilations(steps: list[_watched.Step], name: str) -> list[dict[str, Any]]:
    """Whether the step itself, not some small operation beside it, is compiled after the first one too."""
    if not steps:
        return []
    again = [step.again(steps[:number]) for number, step in enumerate(steps)]
    threshold = max(AT_LEAST, SHARE * sum(seconds for _, seconds in steps[0].compiled))
    if len(steps) > 3 and all(sum(names.values()) >= AT_LEAST for names in again[2:]):
        seconds = np.median([sum(names.values()) for names in again[2:]])
        what = ", ".join(list(again[-1])[:3])
        return [_finding("D610", f"{what}: {seconds:.2f} s in every step", workload=name)]
    for number, names in enumerate(again):
        if sum(names.values()) >= threshold:
            message = (
                f"step {number + 1} compiled {', '.join(list(names)[:3])} again, {sum(names.values()):.2f} s"
            )
            return [_finding("D609", message, workload=name)]
    return []


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
