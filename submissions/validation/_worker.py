"""The dry run's own process: `python -m submissions.validation._worker REQUEST ANSWERS`, two open descriptors.

REQUEST holds JSON. To ANSWERS go signed lines (`_channel`), in this order: `ready` before anything of the submission
is run, `imported`, for each workload `started` and `finished`, and `ended`; `noted` whenever something is seen. So what
was found before a crash is kept, and the parent knows where it was. Who stops the process early leaves out `ended`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
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
from submissions.validation._channel import Send, sender
from submissions.validation._files import required_packages
from submissions.validation._reference import plain_adam
from submissions.validation._source import ENVIRONMENT
from submissions.validation._workload_names import BASE_WORKLOADS
from submissions.validation.findings import relative
from workloads import recorded_name

BATCH_SIZE = 32  # at most: what is looked for does not depend on it
AT_LEAST = 0.02  # seconds: shorter compilations are single operations run from Python
SHARE = 0.25  # of the first step's compilation: below, it is not the step that was compiled again


def main(request_descriptor: int, answers_descriptor: int) -> None:
    """Runs what the request names, and ends the process."""
    with os.fdopen(request_descriptor) as file:
        request = json.load(file)
    os.set_inheritable(answers_descriptor, False)
    send = sender(answers_descriptor, bytes.fromhex(request.pop("key")))
    sys.dont_write_bytecode = True
    limit(request["memory"])
    work(request, send, guarded=True)
    os._exit(0)  # what the submission left to run at the end has run


def limit(memory: int) -> None:
    """Limits that the kernel keeps: the address space of XLA's programs is larger than what they use."""
    import resource

    for what, most in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_FSIZE, 1 << 30),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def work(request: dict[str, Any], send: Send, *, guarded: bool = False) -> None:
    """Runs what the request names.

    Args:
      request: `submission`, `point`, `workloads`, `steps`, `first`, `sources` (its own files elsewhere),
        `trusted` (folders of the workloads' files).
      send: takes the answers.
      guarded: the process is for this alone: library functions may be replaced, and what is to run at its end is run.
    """
    path = Path(request["submission"])
    folder = path.parent
    api.install()
    # What libraries look up once at the first need of it is not the submission's doing: the machine's hardware, and by
    # writing a file the folder for temporary ones.
    jax.devices()
    tempfile.gettempdir()
    compilations = _watched.Compilations()

    def note(code: str, message: str, file: str, line: int) -> None:
        send(noted=_finding(code, message, relative(Path(file), folder) if file else "", line))

    audit = Audit(folder, note, request["sources"], request["trusted"])
    if guarded:
        audit.guard()
    send(ready=True)
    audit.begin()
    try:
        _submission(request, path, audit, compilations, send)
        if guarded:
            _at_exit(send)
    finally:
        audit.end()
    send(ended=True)


def _submission(
    request: dict[str, Any], path: Path, audit: Audit, compilations: _watched.Compilations, send: Send
) -> None:
    try:
        submission = loading.load(path)
    except BaseException as error:  # SystemExit and KeyboardInterrupt are an end that nobody asked for
        code = "D617" if _is_provided_elsewhere(error, path.parent) else "D601"
        send(failed=True, findings=[_failure(code, "import", error, path.parent, "")])
        return
    send(imported=True, findings=batch_size_findings(submission) if request["first"] else [])
    for name in request["workloads"]:
        send(started=name)
        try:
            with audit.ours():
                called = recorded_name(name)  # a submission is told no path
                workload = api.algoperf_workload(called, device_axis=submission.device_axis)
        except Exception as error:  # not the submission's fault
            send(unusable=name, why=f"{type(error).__name__}: {error}")
            return
        findings, figures = dry_run(
            submission, workload, called, request["point"], request["steps"], compilations, audit
        )
        send(finished=name, workload=called, findings=findings, figures=figures)


def _at_exit(send: Send) -> None:
    """Runs what was left for the end while it is still watched, and says which threads go on."""
    import atexit

    others = [one for one in threading.enumerate() if one is not threading.main_thread()]
    if others:
        send(noted=_finding("R504", f"{len(others)} threads go on after the last step: {others[0].name}"))
    atexit._run_exitfuncs()


def _finding(code: str, message: str, file: str = "", line: int = 0, workload: str = "") -> dict[str, Any]:
    return {"code": code, "message": message, "file": file, "line": line, "workload": workload}


def _failure(code: str, doing: str, error: BaseException, folder: Path, workload: str) -> dict[str, Any]:
    """A finding of an exception, at the last line of the submission's own code that it passed."""
    where = [
        (frame.filename, frame.lineno or 0)
        for one in reversed(_chain(error))
        for frame in traceback.extract_tb(one.__traceback__)
        if Path(frame.filename).is_relative_to(folder.resolve())
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
        except (Exception, SystemExit) as error:
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
    except (Exception, SystemExit) as error:
        findings.append(_failure("A205", "get_batch_size of an unknown name", error, folder, ""))
    return findings


def dry_run(
    submission: Submission,
    workload: Any,
    name: str,
    point: dict[str, Any] | None,
    steps: int,
    compilations: _watched.Compilations,
    audit: Audit,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Findings of one workload, and figures: seconds per step, beside plain Adam's."""
    folder = submission.path.parent
    figures: dict[str, Any] = {}
    try:
        size = loading.batch_size(submission, name, default=workload.batch_size)
    except (Exception, SystemExit) as error:
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
        with audit.ours():
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
    main(int(sys.argv[1]), int(sys.argv[2]))
