"""All checks of one folder, in one call."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path

from submissions.validation import _dry_run
from submissions.validation._api import api_findings
from submissions.validation._fairness import fairness_findings
from submissions.validation._files import SEARCH_SPACE, file_findings
from submissions.validation._habits import habit_findings
from submissions.validation._hyperparameters import hyperparameter_findings
from submissions.validation._isolation import ISOLATION, Isolation
from submissions.validation._source import Source
from submissions.validation._space import space_findings
from submissions.validation._supervise import Limits
from submissions.validation.findings import Finding, has_errors, in_order
from workloads.own_files import is_file_form, parts

RULESETS = ("external", "self-tuning")
STEPS = 8  # one compiles, one may compile again, the others show the speed
SECONDS = 900.0

# With these a dry run has nothing to run, or would only say the same again.
FUTILE = ("F101", "F102", "F106", "A201", "A202", "A203", "S301", "S302", "S303", "S304")


@dataclasses.dataclass(frozen=True)
class Validation:
    """What validation says about a folder.

    Attributes:
      folder: the submission's.
      ruleset: the one validated.
      findings: errors first.
      figures: how fast the dry run's steps were, by workload.
      not_run: why there was no dry run; empty if there was one.
      isolation: whether the code was run in a sandbox, and in which; None if it was not run.
      finished: whether the dry run came to its end; true where none was asked for.
    """

    folder: Path
    ruleset: str
    findings: list[Finding]
    figures: list[_dry_run.Figures]
    not_run: str = ""
    isolation: Isolation | None = None
    finished: bool = True

    @property
    def passed(self) -> bool:
        """No errors, and no dry run that was asked for and did not come to its end."""
        return self.finished and not has_errors(self.findings)

    def to_json(self) -> dict[str, object]:
        """An object for `--json`."""
        return {
            "folder": str(self.folder),
            "ruleset": self.ruleset,
            "passed": self.passed,
            "findings": [finding.to_json() for finding in self.findings],
            "dry_run": [{**dataclasses.asdict(one), "ratio": one.ratio} for one in self.figures],
            "not_run": self.not_run or None,
            "isolated": self.isolation.isolated if self.isolation else None,
            "isolation": self.isolation.how if self.isolation else None,
        }


def validate(
    folder: Path | str,
    *,
    ruleset: str | None = None,
    dry_run: bool = True,
    workloads: Sequence[str] = _dry_run.WORKLOADS,
    steps: int = STEPS,
    isolation: str = "auto",
) -> list[Finding]:
    """The findings of `inspect`, which says more."""
    return inspect(
        folder, ruleset=ruleset, dry_run=dry_run, workloads=workloads, steps=steps, isolation=isolation
    ).findings


def inspect(
    folder: Path | str,
    *,
    ruleset: str | None = None,
    dry_run: bool = True,
    workloads: Sequence[str] = _dry_run.WORKLOADS,
    steps: int = STEPS,
    seconds: float = SECONDS,
    isolation: str = "auto",
) -> Validation:
    """Checks a submission: its files, its code as it is written, and a few steps of training.

    Args:
      folder: with submission.py in it, or the path of that file.
      ruleset: "external" or "self-tuning"; None: external if there is a search space.
      dry_run: whether to run its code. Without, nothing of it is ever executed.
      workloads: for the dry run, names as `shortlist workloads` lists them.
      steps: of each dry run.
      seconds: limit of the whole dry run.
      isolation: "auto": in a sandbox where the machine has one; "require": only then; "off": never; or the name of one.

    Raises:
      FileNotFoundError: no such folder.
      ValueError: an unknown ruleset or workload, or too few steps to see a second compilation.
    """
    folder = Path(folder)
    submission = folder if folder.suffix == ".py" else folder / "submission.py"
    if not submission.parent.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; give the folder that holds submission.py")
    if steps < 4:
        raise ValueError(
            f"steps is {steps}; at least 4 are needed to tell a second compilation from one in every step"
        )
    space = submission.parent / SEARCH_SPACE
    if ruleset is None:
        ruleset = "external" if space.is_file() else "self-tuning"
    if ruleset not in RULESETS:
        raise ValueError(f"unknown ruleset {ruleset!r}; known: {', '.join(RULESETS)}")
    if isolation not in ISOLATION:
        raise ValueError(f"unknown isolation {isolation!r}; known: {', '.join(ISOLATION)}")
    if not seconds > 0:
        raise ValueError(f"the time limit is {seconds} s; it must be positive")
    findings, files = _read(submission, ruleset)
    if not dry_run:
        return Validation(submission.parent, ruleset, findings, [], "not asked for")
    futile = [finding.code for finding in findings if finding.code in FUTILE]
    if futile:
        return Validation(
            submission.parent, ruleset, findings, [], f"{futile[0]} must be corrected first", finished=False
        )
    point = _dry_run.middle_point(json.loads(space.read_text())) if ruleset == "external" else None
    memory = min(Limits.memory, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4)
    limits = Limits(seconds, memory=memory)
    trusted = [parts(name)[0].resolve().parent for name in workloads if is_file_form(name)]
    done = _dry_run.dry_run(submission, point, workloads, steps, limits, isolation, files, trusted)
    failed = next((finding for finding in done.findings if finding.code in ("D601", "D617")), None)
    not_run = f"{failed.code}: it could not be imported" if failed else ""
    finished = done.finished and not failed
    found = in_order(findings + done.findings)
    return Validation(submission.parent, ruleset, found, done.figures, not_run, done.isolation, finished)


def static_findings(submission: Path, ruleset: str) -> list[Finding]:
    """What can be found by reading.

    Args:
      submission: the path of submission.py, which may be missing.
      ruleset: "external" or "self-tuning".
    """
    return _read(submission, ruleset)[0]


def _read(submission: Path, ruleset: str) -> tuple[list[Finding], list[Path]]:
    """What can be found by reading, and the files that were read."""
    source = Source(submission) if submission.is_file() else None
    findings = file_findings(submission, source, ruleset)
    declared = None
    space = submission.parent / SEARCH_SPACE
    if ruleset == "external" and space.is_file():
        found, declared = space_findings(space)
        findings += found
    if source is not None and source.main is not None:
        found = api_findings(source)
        old_api = any(finding.code == "A204" for finding in found)
        findings += found + hyperparameter_findings(source, declared, ruleset, SEARCH_SPACE, old_api)
        findings += habit_findings(source)
        findings += fairness_findings(source)
    return in_order(findings), list(source.modules) if source is not None else []
