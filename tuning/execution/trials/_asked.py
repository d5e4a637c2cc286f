"""What a run is asked for, and whether it can be: nothing here looks at what an experiment holds."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import submissions.api.loading as loading
import workloads
from results import studies
from submissions import api
from submissions.api import TrialSpec, workload_folder
from tuning.execution.trials import _packaged, _run_points, locks
from workloads import installed
from workloads.arithmetic import Arithmetic

SPACE = "tuning_search_space.json"  # as AlgoPerf calls it, in a submission's folder
SEEDS = 2**32  # JAX takes and NumPy demands seeds below


@dataclasses.dataclass(frozen=True)
class Asked:
    """What `run` is asked for, see there; nothing of it contradicts itself.

    Attributes:
      of_trials: what is asked of all trials alike; folder, number, seed and point of each are none yet.
      submission: its file; None: `optimizer` is packaged.
      optimizer: instead of a submission.
      space: the search space's file; None: the optimizer's own, or none under the self-tuning ruleset.
      seed: of the study; None: one is to be drawn, or found.
      trials: of the study.
      numbers: of the trials of this slice, from 1.
      experiment: folder.
      self_tuning: the ruleset without hyperparameters.
      overwrite: delete what lies in the trials' folders.
    """

    of_trials: TrialSpec
    submission: Path | None
    optimizer: str | None
    space: Path | None
    seed: int | None
    trials: int
    numbers: range
    experiment: Path
    self_tuning: bool
    overwrite: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Asked:
        """Reads the arguments of `run`.

        Raises:
          FileNotFoundError: no such submission or data.
          ValueError: they contradict each other, or are out of their domains.
        """
        self_tuning = _is_self_tuning(given["tuning_ruleset"])
        path, optimizer, space = (
            given[name] for name in ("submission_path", "optimizer", "tuning_search_space")
        )
        if (path is None) == (optimizer is None) or optimizer == "":
            raise ValueError("give either a submission_path or an optimizer")
        submission = None if path is None else loading.submission_file(path)
        if space is None and not self_tuning and submission is not None:
            beside = submission.parent / SPACE
            space = beside if beside.is_file() else None
        if optimizer is None or self_tuning:  # else the optimizer has one
            _check_ruleset(self_tuning, space, submission)
        _check_numbers(given)
        _check(given)
        first, end = _slice(
            self_tuning, given["num_tuning_trials"], given["hparam_start_index"], given["hparam_end_index"]
        )
        workload = workloads.recorded_name(given["workload"])
        _check_arithmetic(workload, given["precision"], given["micro_batches"])
        workloads.entry(workload)  # refuses unknown names
        _check_imagenet_v2(workload, given["data_dir"], given["imagenet_v2_data_dir"])
        experiment = Path(given["experiment_dir"]).expanduser() / given["experiment_name"]
        own = workloads.own_file(workload)
        alike = {name: given[name] for name in TrialSpec.__dataclass_fields__ if name in given}
        data_dir, imagenet_v2 = given["data_dir"], given["imagenet_v2_data_dir"]
        alike |= {
            "submission_path": str(submission or experiment / _packaged.FOLDER / "submission.py"),
            "workload": workload,
            "workload_file": None if own is None else own.path,
            "data_dir": None if data_dir is None else str(Path(data_dir).expanduser()),
            "imagenet_v2_data_dir": None if imagenet_v2 is None else str(imagenet_v2),
            "flags": _flags(given),
        }
        return cls(
            of_trials=TrialSpec(**alike, folder="", trial=0, seed=0),
            submission=submission,
            optimizer=optimizer,
            space=None if space is None else Path(space).expanduser(),
            seed=given["rng_seed"],
            trials=given["num_tuning_trials"],
            numbers=range(first + 1, end + 1),
            experiment=experiment,
            self_tuning=self_tuning,
            overwrite=given["overwrite"],
        )

    @property
    def workload(self) -> str:
        """Its name, as it is recorded."""
        return self.of_trials.workload

    @property
    def folder(self) -> Path:
        """Of the workload's trials."""
        return self.experiment / workload_folder(self.workload)

    @property
    def record(self) -> Path:
        """Folder of the record."""
        return self.experiment / studies.RECORD / workload_folder(self.workload)

    @property
    def folders(self) -> dict[int, Path]:
        """Number -> folder, of the trials of this slice."""
        return {trial: self.folder / f"trial_{trial}" for trial in self.numbers}

    @property
    def anew(self) -> bool:
        """Nothing stays of what is there."""
        return self.overwrite and len(self.numbers) == self.trials

    def locks(self) -> locks.TrialLocks:
        """Of the trials, none taken yet.

        Raises:
          FileExistsError: there are trials already, and neither overwrite nor resume was asked for.
        """
        for path in self.folders.values():
            kept = self.overwrite or self.of_trials.resume
            if not kept and path.exists() and any(path.iterdir()):
                raise FileExistsError(
                    f"{path}: exists already; --resume goes on with it, --overwrite deletes it"
                )
        return locks.TrialLocks(self.record / locks.FOLDER, self.experiment)


def _flags(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is written down as the flags: those that were said to be, or the arguments."""
    if given["flags"] is not None:
        return dict(given["flags"])
    return {
        name: value if isinstance(value, bool | int | float | str | None) else str(value)
        for name, value in given.items()
        if name != "flags"
    }


def _is_self_tuning(ruleset: str) -> bool:
    if ruleset not in ("external", "self-tuning", "self"):
        raise ValueError(
            f"tuning_ruleset is {ruleset!r}; allowed: external, self-tuning (or self, as AlgoPerf spells it)"
        )
    return ruleset != "external"


def _check_arithmetic(workload: str, precision: str, micro_batches: int) -> None:
    asked = Arithmetic(precision, micro_batches)  # refuses others
    if workload.startswith(api.INSTALLED) and asked != Arithmetic():
        raise ValueError(
            f"{workload}: an installed AlgoPerf computes its steps itself; leave precision and micro_batches out, or "
            "run on the native workload"
        )


def _check_ruleset(self_tuning: bool, space: Any, submission: Path | None) -> None:
    if not self_tuning and space is None:
        raise ValueError(
            f"the external ruleset needs a tuning_search_space, and there is no {SPACE} beside {submission}; give one, "
            "or choose the tuning_ruleset self-tuning"
        )
    if self_tuning and space is not None:
        raise ValueError("the self-tuning ruleset passes no hyperparameters: leave tuning_search_space out")


def _check_numbers(given: Mapping[str, Any]) -> None:
    for name in ("num_tuning_trials", "max_global_steps", "eval_period_steps"):
        if given[name] is not None and given[name] < 1:
            raise ValueError(f"{name} is {given[name]}; must be at least 1")
    if given["num_tuning_trials"] > _run_points.MOST:
        raise ValueError(
            f"num_tuning_trials is {given['num_tuning_trials']}; must be at most {_run_points.MOST}"
        )


def _check(given: Mapping[str, Any]) -> None:
    name, seed = given["experiment_name"], given["rng_seed"]
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts or "\0" in name:
        raise ValueError(
            f"experiment_name is {name!r}; must be a folder in experiment_dir, such as my_submission/study_0"
        )
    if seed is not None and not 0 <= seed < SEEDS:
        raise ValueError(f"rng_seed is {seed}; must lie in 0..{SEEDS - 1}")
    for what in ("data_dir", "imagenet_v2_data_dir"):
        if given[what] is not None and not Path(given[what]).expanduser().is_dir():
            raise FileNotFoundError(
                f"{what} {str(given[what])!r} is not a folder; leave it out to use the embedded data"
            )
    if given["overwrite"] and given["resume"]:
        raise ValueError("overwrite and resume were both asked for; choose one")


def _check_imagenet_v2(
    workload: str, data_dir: str | os.PathLike[str] | None, given: str | os.PathLike[str] | None
) -> None:
    """Accepts a folder of test images where something reads it."""
    if given is None or workload.startswith(installed.PREFIX):
        return
    if not workload.startswith("algoperf/imagenet_") or "@" in workload:
        raise ValueError(
            f"imagenet_v2_data_dir {str(given)!r}: {workload} has no test images of ImageNet-v2; leave it out"
        )
    # AlgoPerf's own commands name one folder twice, in which both data sets are.
    if data_dir is None or not os.path.samefile(Path(data_dir).expanduser(), Path(given).expanduser()):
        raise ValueError(
            f"imagenet_v2_data_dir {str(given)!r}: {workload} reads imagenet_v2/ below data_dir; link it there, or "
            f"name one folder for both ({installed.PREFIX} workloads alone take two)"
        )


def _slice(self_tuning: bool, trials: int, start: int | None, end: int | None) -> tuple[int, int]:
    if self_tuning:
        if trials != 1 or start is not None or end is not None:
            raise ValueError(
                "the self-tuning ruleset has one trial; leave num_tuning_trials and the slice out"
            )
        return 0, 1
    first, last = start or 0, trials if end is None else end
    if not 0 <= first < last <= trials:
        raise ValueError(
            f"hparam_start_index {first} and hparam_end_index {last} are no slice of {trials} trials; they count from "
            "0, and the end is left out"
        )
    return first, last
