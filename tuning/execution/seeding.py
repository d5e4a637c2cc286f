"""Where the randomness of a study's trials begins: one row per way of seeding."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from results.studies import Cohort, StudySpec
from submissions.api.training import trial_keys
from submissions.points import Point
from tuning.engine.population import Keys, keys_of_seeds, trial_seed


def keys(
    spec: StudySpec,
    workload: str,
    cohort: Cohort,
    points: Sequence[Point],
    numbers: Mapping[str, int] | None = None,
) -> Keys:
    """The keys of trials of one cohort, as the study's `seeding` says.

    Args:
      spec: of the study.
      workload: name.
      cohort: whose trials they are.
      points: one per trial; the cohort's, or its and copies that fill it up.
      numbers: id of a point -> its number among the workload's, from 1; see `numbered`.
    """
    return SEEDINGS[spec.seeding](spec, workload, cohort, points, numbers or {})


def numbered(spec: StudySpec, workload: str, cohort: Cohort) -> dict[str, int] | None:
    """The numbers of a cohort's points, where seeds depend on them."""
    if spec.seeding != "algoperf":
        return None
    assert spec.points is not None  # `plan` says so
    of_all = {point.id: number for number, point in enumerate(spec.points[workload], 1)}
    return {point.id: of_all[point.id] for point in cohort.points}


def seed_of_trial(seed: int, trial: int) -> int:
    """The seed of a trial of a submission: the study's for trial 1, a hash of it and the number for all others.

    AlgoPerf gives all trials of a process the study's seed, and so one initialisation and one order of the data; its
    first trial and ours are alike.

    Example:
      >>> seed_of_trial(1, 1), seed_of_trial(1, 2) == seed_of_trial(1, 3)
      (1, False)
    """
    if trial == 1:
        return seed
    return int.from_bytes(hashlib.sha256(f"{seed}/trial_{trial}".encode()).digest()[:4], "big")


def _hashed(
    spec: StudySpec, workload: str, cohort: Cohort, points: Sequence[Point], numbers: Mapping[str, int]
) -> Keys:
    """Seeds are hashes of what a trial is, so that no other trial has a part in them."""
    del numbers
    of_trial = [(spec.seed, workload, point.id, cohort.repeat) for point in points]
    of_batches = [(spec.seed, workload, cohort.repeat)] if spec.shared_batches else of_trial
    inits = [trial_seed(*parts, "init") for parts in of_trial]
    batches = [trial_seed(*parts, "batches") for parts in of_batches]
    return jax.device_get(keys_of_seeds(jnp.array(inits, jnp.uint32), jnp.array(batches, jnp.uint32)))


def _algoperf(
    spec: StudySpec, workload: str, cohort: Cohort, points: Sequence[Point], numbers: Mapping[str, int]
) -> Keys:
    """What `shortlist run` derives from the study's seed: the same initial parameters and the same batches.

    Noise is another one: the engine takes one key per trial and step, AlgoPerf's loop splits it once more.
    """
    del workload, cohort
    made = [trial_keys(seed_of_trial(spec.seed, numbers[point.id]), external=True) for point in points]
    words = ([getattr(of_trial, name) for of_trial in made] for name in ("model", "steps", "data"))
    return Keys(*(jax.device_get(jnp.stack(of_trials)) for of_trials in words))


def _targets(
    spec: StudySpec, workload: str, cohort: Cohort, points: Sequence[Point], numbers: Mapping[str, int]
) -> Keys:
    """Of the trainings that set a target, see `tuning.targets`: a point may be there several times, so that a trial is
    told from others by its place in the cohort. Those of the reference share their batches, seeds do not."""
    del cohort, numbers
    purpose = "reference" if spec.shared_batches else "seeds"
    of_trial = [(spec.seed, workload, purpose, point.id, place) for place, point in enumerate(points)]
    inits = [trial_seed(*parts, "init") for parts in of_trial]
    batches = [trial_seed(*parts, "batches") for parts in (of_trial[:1] if spec.shared_batches else of_trial)]
    return jax.device_get(keys_of_seeds(jnp.array(inits, jnp.uint32), jnp.array(batches, jnp.uint32)))


SEEDINGS: dict[str, Callable[[StudySpec, str, Cohort, Sequence[Point], Mapping[str, int]], Keys]] = {
    "hashed": _hashed,
    "algoperf": _algoperf,
    "targets": _targets,
}
