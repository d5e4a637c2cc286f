"""What `shortlist run` does on the hosts that are not the first of a trial on several: it trains along."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from pathlib import Path

import submissions.api.loading as loading
import workloads
from submissions.api import Attendant, TrialSpec
from tuning.execution import team
from tuning.execution.stopping import Stop
from tuning.execution.trials import _packaged, _trial_process, locks


def follow(
    member: team.Member,
    *,
    workload: str,
    submission_path: str | Path | None = None,
    optimizer: str | None = None,
    data_dir: str | Path | None = None,
    imagenet_v2_data_dir: str | Path | None = None,
    stop: Stop | None = None,
    attendant: Attendant | None = None,
) -> None:
    """Trains along with process 0 until its run is over. Nothing is kept here: it writes all there is to be written.

    Args:
      member: which process this is.
      workload, submission_path, optimizer, data_dir, imagenet_v2_data_dir: as of `run`; those of this host. What they
        lead to must be the same everywhere.
      stop: set to have the trial under way save itself and end on all hosts.
      attendant: told what a person must know.

    Raises:
      GaveUp: process 0 is gone, or has ended the run by an error.
      ValueError: what is to be trained is another thing here.
    """
    stop, attendant = stop or Stop(), attendant or Attendant()
    name = workloads.recorded_name(workload)
    workloads.entry(name)  # refuses unknown names
    own = workloads.own_file(name)
    with contextlib.ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="shortlist-run-")))
        if optimizer is not None:
            made = held.enter_context(_packaged.packaged(optimizer, folder))
            submission, digest = made / "submission.py", _packaged.fingerprint(made, optimizer)
        else:
            assert submission_path is not None
            submission = loading.submission_file(submission_path)
            digest = loading.fingerprint(submission)
        following = team.Follower(member, team.facts(name, member.silence), stop.is_set)
        held.callback(following.close)
        lock = held.enter_context(locks.TrialLocks(folder / "locks", folder))
        lock.take((1,), attendant.say)
        while (asked := following.next_trial(stop.is_set)) is not None:
            content, part = asked
            spec = dataclasses.replace(
                TrialSpec(**content),
                submission_path=str(submission),
                folder=str(folder / f"trial_{content['trial']}"),
                data_dir=None if data_dir is None else str(Path(data_dir).expanduser()),
                imagenet_v2_data_dir=None if imagenet_v2_data_dir is None else str(imagenet_v2_data_dir),
                workload_file=None if own is None else own.path,
            )
            if content["submission_sha256"] not in (None, digest):
                why = f"the submission of process {member.index} is another than that of process 0"
                following.ended("crashed", why)
                raise ValueError(f"{why}: {submission}")
            _train(spec, part, following, lock.of(1), stop, attendant)


def _train(
    spec: TrialSpec,
    part: team.FollowerInTrial,
    following: team.Follower,
    lock: int,
    stop: Stop,
    attendant: Attendant,
) -> None:
    Path(spec.folder).mkdir()
    try:
        outcome = _trial_process.train_apart(spec, lock, stop, attendant, part=part)
        status, why = "aborted" if part.aborted else outcome.status, outcome.reason
    except ValueError as error:  # it was refused, here as elsewhere or here alone: process 0 ends the run
        status, why = "crashed", str(error)
    except team.Lost:
        raise
    except BaseException as error:
        following.ended("crashed", str(error) or type(error).__name__)
        raise
    following.ended(status, why)
