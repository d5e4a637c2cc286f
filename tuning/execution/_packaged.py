"""An optimizer packaged in the folder of an experiment, as the submission that is run there."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

import submissions
from submissions.api import loading, write_rule
from submissions.package import package
from workloads.own_files import is_file_form

FOLDER = "submission"
SPACE = "tuning_search_space.json"


@contextlib.contextmanager
def packaged(optimizer: str, experiment: Path) -> Iterator[Path]:
    """The optimizer as a submission, in a folder that is there as long as the context, unless `keep` moves it.

    Args:
      optimizer: name or FILE.py:FUNCTION.
      experiment: folder, beside whose submission it lies.

    Raises:
      ValueError, FileNotFoundError: no such optimizer, or one that cannot be packaged.
    """
    own = submissions.optimizer(optimizer)
    beside = experiment / f".{FOLDER}.{uuid.uuid4().hex}"
    folder = beside / FOLDER
    try:
        if getattr(own, "is_rule", False):
            write_rule(folder, submissions.recorded_name(optimizer))
        else:
            package(
                folder, name=optimizer.rpartition(":")[2], optimizer=optimizer, authors="not for submission"
            )
        yield folder
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def fingerprint(folder: Path, optimizer: str) -> str:
    """SHA-256 of a packaged optimizer: of the submission, and of the user's file where the submission reads that."""
    digest = loading.fingerprint(folder)
    if is_file_form(optimizer):
        content = Path(optimizer.rpartition(":")[0]).read_bytes()
        digest = hashlib.sha256(digest.encode() + content).hexdigest()
    return digest


def keep(folder: Path, experiment: Path, replaced: Iterable[Path]) -> Path:
    """Puts a packaged submission into its place; one that is there and the same stays.

    Args:
      folder: of `packaged`.
      experiment: folder.
      replaced: folders of trials that are trained by it.

    Raises:
      ValueError: other trials of the experiment were trained by another.
    """
    place = experiment / FOLDER
    if place.exists() and _sources(place) != _sources(folder):
        others = {file.parent for file in experiment.glob("*_jax/trial_*/outcome.json")} - set(replaced)
        if others:
            raise ValueError(
                f"{place}: trials of this experiment were trained by another submission, such as {min(others)}; choose "
                "another --experiment-name"
            )
        aside = folder.parent / "before"
        os.replace(place, aside)
    if not place.exists():
        os.replace(folder, place)
    shutil.rmtree(folder.parent, ignore_errors=True)  # now, as a run that is killed would leave it
    return place


def _sources(folder: Path) -> dict[str, bytes]:
    files = (*folder.glob("*.py"), folder / SPACE)
    return {file.name: file.read_bytes() for file in files if file.is_file()}
