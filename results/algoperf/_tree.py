"""Where the trials of an AlgoPerf log tree are, and what in it is something else.

    <leaderboard>/<submission>/study_<k>/<workload>_<framework>[_<time>]/trial_<i>/

A tree may start at any of the first three levels, at one study, or above the leaderboards.

Reference: mlcommons/algorithmic-efficiency, submission_runner.py; mlcommons/submissions_algorithms, logs.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from results._results import LeftOut
from results.studies import RECORD, SUBMISSION

# Numbers that a table of integers can hold.
STUDY = re.compile(r"study_(\d{1,9})")
TRIAL = re.compile(r"trial_(\d{1,9})")
# fastmri_jax, imagenet_vit_pytorch, and with --append_timestamp also fastmri_jax_2024-02-13-13-02-24
WORKLOAD = re.compile(r"(.+)_(jax|pytorch)(?:_\d[\d_-]*)?")

# Leaderboards lie at most this far below the folder given; deeper means that somebody passed their home
# folder.
MAX_DEPTH = 5


@dataclasses.dataclass(frozen=True)
class TrialFolder:
    """One trial directory and its place in the tree."""

    path: str
    leaderboard: str  # folder that holds the submissions, or the folder read if that is one of them
    submission: str
    study: int
    workload: str
    framework: str
    trial: int


def find_trials(root: Path) -> tuple[list[TrialFolder], list[LeftOut]]:
    """All trial folders of a log tree, in an order that no file system decides.

    Sorted by leaderboard, submission, study, workload, trial. Where one study holds a workload twice (two
    frameworks, or two launches with time stamps), the folder with more trials that have evaluations is taken;
    among equals the one with the latest name.

    Args:
      root: folder at any level of the tree.

    Returns:
      The trial folders, and what else lies where the layout has studies, workloads and trials. No trial
      folder means that this is no log tree.
    """
    left_out: list[LeftOut] = []
    folders: list[TrialFolder] = []
    for submission, study, folder in _studies(root, left_out):
        name = Path(os.path.abspath(submission)).name  # root may be "." or ".."
        leaderboard = str(
            submission.parent if submission.is_relative_to(root) and submission != root else root
        )
        folders += _trials_of_study(folder, leaderboard, name, study, left_out)
    folders.sort(key=lambda f: (f.leaderboard, f.submission, f.study, f.workload, f.trial))
    return folders, left_out


def holds_trials(root: Path) -> bool:
    """Whether there is a trial anywhere in the tree; looks no further than the first.

    Raises:
      PermissionError: a folder may not be looked into: what is in it would be missing unsaid.
    """
    return any(_trials_of_study(folder, "", "", study, []) for _, study, folder in _studies(root, []))


def _studies(root: Path, left_out: list[LeftOut]) -> Iterator[tuple[Path, int, Path]]:
    """Yields (submission folder, study number, study folder)."""
    whole = Path(os.path.abspath(root))
    if match := STUDY.fullmatch(whole.name):
        yield whole.parent, int(match[1]), root
        return
    yield from _studies_below(root, left_out, MAX_DEPTH)


def _studies_below(folder: Path, left_out: list[LeftOut], depth: int) -> Iterator[tuple[Path, int, Path]]:
    folders, files = _entries(folder)
    studies = [(int(match[1]), name) for name in folders if (match := STUDY.fullmatch(name))]
    if studies:
        yield from ((folder, number, folder / name) for number, name in sorted(studies))
        strays = [name for name in folders if not STUDY.fullmatch(name)]
        left_out += [LeftOut(str(folder / name), "not a study folder (study_<number>)") for name in strays]
        left_out += _stray_files(folder, files, "a submission holds studies")
    elif any(WORKLOAD.fullmatch(name) and _has_trials(folder / name) for name in folders):
        # What AlgoPerf's runner leaves when the experiment's name does not end in study_<k>.
        yield folder, 0, folder
    elif depth:
        for name in folders:
            found = False
            for study in _studies_below(folder / name, left_out, depth - 1):
                found = True
                yield study
            if not found:
                left_out.append(LeftOut(str(folder / name), "no studies in it"))


def _trials_of_study(
    folder: Path, leaderboard: str, submission: str, study: int, left_out: list[LeftOut]
) -> list[TrialFolder]:
    folders, files = _entries(folder)
    launches: dict[str, list[tuple[int, str, list[TrialFolder]]]] = {}
    for name in folders:
        if name == RECORD:
            continue  # the same trials, as a study of ours
        if name == SUBMISSION and RECORD in folders:
            continue  # what `shortlist run --optimizer` packaged and ran
        path = folder / name
        match = WORKLOAD.fullmatch(name)
        if not match:
            reason = "not a workload folder (<workload>_jax or <workload>_pytorch)"
            left_out.append(LeftOut(str(path), reason))
            continue
        workload, framework = match[1], match[2]
        names, _ = _entries(path)  # files beside the trials are the console logs of each launch
        numbers = {int(found[1]): trial for trial in names if (found := TRIAL.fullmatch(trial))}
        strays = set(names) - set(numbers.values())
        left_out += [LeftOut(str(path / n), "not a trial folder (trial_<number>)") for n in sorted(strays)]
        if not numbers:
            left_out.append(LeftOut(str(path), "a workload folder without trials"))
            continue
        trials = [
            TrialFolder(str(path / trial), leaderboard, submission, study, workload, framework, number)
            for number, trial in numbers.items()
        ]
        with_evals = sum(os.path.isfile(f"{trial.path}/eval_measurements.csv") for trial in trials)
        launches.setdefault(workload, []).append((with_evals, name, trials))
    left_out += _stray_files(folder, files, "a study holds workloads")
    chosen = []
    for candidates in launches.values():
        *others, (_, kept, trials) = sorted(candidates, key=lambda c: c[:2])
        reason = f"the same study has this workload in {kept} too, with at least as many evaluated trials"
        left_out += [LeftOut(str(folder / name), reason) for _, name, _ in others]
        chosen += trials
    return chosen


def _has_trials(folder: Path) -> bool:
    return any(TRIAL.fullmatch(name) for name in _entries(folder)[0])


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    """Names of the folders and of the files, sorted; hidden ones are nobody's data."""
    folders, files = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                (folders if entry.is_dir() else files).append(entry.name)
    return sorted(folders), sorted(files)


def _stray_files(folder: Path, names: Iterable[str], instead: str) -> list[LeftOut]:
    """One line per folder, however many files: a stray launch leaves dozens."""
    if not (names := list(names)):
        return []
    count = f"{len(names)} files" if len(names) > 1 else "1 file"
    return [LeftOut(str(folder), f"{count} such as {names[0]}: {instead}, not files")]
