"""An optimizer packaged in the folder of an experiment, as the submission that is run there."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import submissions
from results import studies
from submissions.api import loading, write_rule
from submissions.package import package
from tuning.execution.trials import locks
from workloads.data import reading

FOLDER = studies.SUBMISSION
SPACE = "tuning_search_space.json"


@contextlib.contextmanager
def packaged(optimizer: str, experiment: Path, self_tuning: bool = False) -> Iterator[Path]:
    """The optimizer as a submission, in a folder that is there as long as the context, unless `keep` moves it.

    What asks for more than AlgoPerf's interface gives, as a rule with validation losses does, is no package: its
    submission calls Shortlist.

    Args:
      optimizer: name, FILE.py:FUNCTION, or NAME@FILE.
      experiment: folder, beside whose submission it lies.
      self_tuning: the ruleset, under which learned optimizers are packaged as they were trained.

    Raises:
      ValueError, FileNotFoundError: no such optimizer, or one that cannot be packaged.
    """
    own = submissions.optimizer(optimizer)
    beside = experiment / f".{FOLDER}.{uuid.uuid4().hex}"
    folder = beside / FOLDER
    try:
        learned = isinstance(own, submissions.LearnedOptimizer)
        if getattr(own, "is_rule", False) or (learned and own.rule.validation_period is not None):
            write_rule(folder, submissions.recorded_name(optimizer))
        else:
            package(
                folder,
                name=own.name if learned else optimizer.rpartition(":")[2],
                optimizer=own,
                ruleset="self-tuning" if self_tuning and learned else "external",
                authors="not for submission",
            )
        yield folder
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def fingerprint(folder: Path, optimizer: str) -> str:
    """SHA-256 of a packaged optimizer: of the submission, and of the user's file where the submission reads that."""
    digest = loading.fingerprint(folder)
    file = submissions.own_file(optimizer)
    if file is not None:
        content = file.read_bytes()
        digest = hashlib.sha256(digest.encode() + content).hexdigest()
    return digest


def check(folder: Path, experiment: Path, replaced: Iterable[Path]) -> None:
    """Accepts a packaged submission for trials of an experiment.

    Args:
      folder: of `packaged`.
      experiment: folder.
      replaced: folders of trials that are trained by it.

    Raises:
      ValueError: other trials of the experiment were trained by another, or are while this is asked.
    """
    place = experiment / FOLDER
    if not place.exists() or _sources(place) == _sources(folder):
        return
    replaced = set(replaced)
    begun = {
        trial
        for of_workload in reading.matching(experiment, "*_jax")
        for trial in reading.matching(of_workload, "trial_*")
        if any((trial / name).exists() for name in ("outcome.json", "eval_measurements.csv"))
    }
    # What trains may have nothing to show yet.
    training = {
        experiment / of_workload.name / f"trial_{trial}"
        for of_workload in reading.matching(experiment / studies.RECORD, "*")
        for trial in locks.held(of_workload / locks.FOLDER)
    }
    for others, are in ((training, "are being"), (begun, "were")):
        if others - replaced:
            raise ValueError(
                f"{place}: trials of this experiment {are} trained by another submission, such as "
                f"{min(others - replaced)}; choose another --experiment-name"
            )


def keep(folder: Path, experiment: Path, replaced: Iterable[Path]) -> Path:
    """Puts a packaged submission into its place; one that is there and the same stays.

    Args:
      folder, experiment, replaced: as of `check`.

    Raises:
      ValueError: as `check`.
    """
    place, replaced = experiment / FOLDER, tuple(replaced)
    while not place.exists() or _sources(place) != _sources(folder):
        if place.exists():
            check(folder, experiment, replaced)
            os.replace(place, folder.parent / "before")
        try:
            os.replace(folder, place)
            break
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            # Another run has just put its own there.
    shutil.rmtree(folder.parent, ignore_errors=True)  # now, as a run that is killed would leave it
    return place


def _sources(folder: Path) -> dict[str, bytes]:
    files = (*reading.matching(folder, "*.py"), folder / SPACE)
    return {file.name: file.read_bytes() for file in files if file.is_file()}
