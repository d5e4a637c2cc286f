"""A reproduction of Medapati et al. that nobody trained: every study of the protocol, curves from a formula."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import polars as pl

import lists
from reports.medapati import published_numbers
from results import Results

STEPS, EVALS, CANDIDATES = 1000, 20, 30
METRICS = {
    "CE": "loss",
    "SSIM": "ssim",
    "error": "accuracy",  # in our catalogue
    "WER": "wer",
    "mAP": "mean_average_precision",
    "BLEU": "bleu",
}
DATA = "embedded: something small, in place of something large"
NUMBERS = published_numbers()
BASE = [f"algoperf/{w.name}@mini" for w in NUMBERS.workloads]
VARIANTS = [f"algoperf/{w.variant.name}@mini" for w in NUMBERS.workloads]
FACTS = {
    name: (METRICS[w.metric], w.minimize and w.metric != "error", -3.3 + 0.2 * i + 0.1 * (name in VARIANTS))
    for names in (BASE, VARIANTS)
    for i, (name, w) in enumerate(zip(names, NUMBERS.workloads, strict=True))
}  # workload -> metric, whether less is better, best log10 of the learning rate


def fake_reproduction(
    *,
    without: Sequence[str] = (),
    base: Sequence[str] = BASE,
    repeats: int = 3,
    candidates: int = CANDIDATES,
    seed: int = 0,
) -> Results:
    """Results of all studies of the protocol, the same for the same arguments.

    Args:
      without: studies that are left out.
      base: base workloads.
      repeats: of lists and baselines.
      candidates: points of the search, and of random search.
      seed: of everything.
    """
    rng = np.random.default_rng(seed)
    points = {str(i): _draw(rng) for i in range(candidates)}
    made = _Made(seed)
    made.run("quasirandom", "candidates", dict.fromkeys(base, points), 1)
    values = made.fractions(base, list(points))
    size = min(5, candidates)
    chosen = [str(p) for p in lists.greedy(values, size).points]

    def left_out(method: str, size: int) -> dict[str, dict[str, dict]]:
        left = lists.leave_one_out(values, size, method=method)
        return {
            w: {str(p): points[str(p)] for p in one.points} for w, one in zip(base, left.lists, strict=True)
        }

    if len(base) > 1:
        made.run("leave-one-out", "leave-one-out", left_out("greedy", size), repeats)
        made.run("leave-one-out-exact", "leave-one-out", left_out("exact", min(4, size)), repeats)
    of_all = {p: points[p] for p in chosen}
    made.run("final-list", "baseline", dict.fromkeys(base, of_all), repeats)
    made.run("final-list-variants", "baseline", dict.fromkeys(VARIANTS, of_all), repeats)
    for decay in (0.5, 0.0001):
        sweep = {
            f"lr{i}": _draw(rng) | {"learning_rate": 10 ** (-4 + i / 2), "weight_decay": decay}
            for i in range(5)
        }
        made.run(f"lr-sweep-wd-{decay}", "baseline", dict.fromkeys(base, sweep), repeats)
    for study, count, times in (
        ("vizier", 10, 1),
        ("metz2020-appendix_f", 5, repeats),
        ("random", candidates, 1),
    ):
        drawn = {f"{study}{i}": _draw(rng) for i in range(count)}
        made.run(study, "candidates" if study == "random" else "baseline", dict.fromkeys(base, drawn), times)
    own = {point.id: dict(point.hyperparameters) for point in NUMBERS.points.points}
    made.run("medapati2025", "baseline", dict.fromkeys(base, own), repeats)
    return made.results(without)


class _Made:
    """Trials as they are made."""

    def __init__(self, seed: int) -> None:
        self.seed, self.trials, self.evals, self.about = seed, [], [], {}

    def run(self, study: str, role: str, points: Mapping[str, Mapping[str, dict]], repeats: int) -> None:
        for workload, of_workload in points.items():
            for repeat in range(repeats):
                for number, (point, hyperparameters) in enumerate(of_workload.items(), 1):
                    self._trial(study, workload, repeat, number, point, hyperparameters)
        count = max(len(of_workload) for of_workload in points.values())
        self.about[study] = {
            "role": role, "title": study, "strategy": "medapati-candidates" if study == "quasirandom" else "list",
            "draws": "quasi-random" if study == "quasirandom" else "chosen", "budget": count, "seed": self.seed,
            "repeats": repeats, "optimizer": "nadamw_optax", "device": "cpu × 1 (imaginary)",
            "versions": {"python": "3.11.7"}, "commands": f"shortlist tune --study {study}", "seconds": 1.0,
        }  # fmt: skip

    def _trial(
        self, study: str, workload: str, repeat: int, number: int, point: str, hyperparameters: dict
    ) -> None:
        metric, minimize, best = FACTS[workload]
        i = len(self.trials)
        rng = np.random.default_rng([self.seed, i])
        distance = abs(math.log10(hyperparameters["learning_rate"]) - best)
        quality = 1 - math.exp(-3.2) - 0.12 * distance + 0.01 * rng.normal()
        progress = quality * (1 - np.exp(-3.2 * np.arange(1, EVALS + 1) / EVALS))
        values = 1 - progress if minimize else progress
        self.trials.append(
            {
                "trial_id": i, "benchmark": None, "submission": study, "repeat": repeat, "workload": workload,
                "trial": number, "point": point, "framework": "jax",
                "hyperparameters": json.dumps(hyperparameters, sort_keys=True), "metric": metric,
                "minimize": minimize, "validation_target": 0.12 if minimize else 0.88, "test_target": None,
                "step_hint": float(STEPS), "max_runtime_seconds": None, "status": "done", "data": DATA,
            }
        )  # fmt: skip
        for k, value in enumerate(values.tolist()):
            self.evals.append((i, k, (k + 1) * STEPS // EVALS, None, value, value, None))

    def fractions(self, workloads: Sequence[str], points: Sequence[str]) -> np.ndarray:
        """Step fractions of what was run, worked out anew rather than with the code under test."""
        found = np.full((len(points), len(workloads)), np.inf)
        for trial, k, _, _, value, *_ in self.evals:
            of_trial = self.trials[trial]
            sign = 1 if of_trial["minimize"] else -1
            if sign * value <= sign * of_trial["validation_target"]:
                cell = points.index(of_trial["point"]), workloads.index(of_trial["workload"])
                found[cell] = min(found[cell], (k + 1) / EVALS)
        return found

    def results(self, without: Iterable[str]) -> Results:
        floats = ("validation_target", "test_target", "max_runtime_seconds")
        kinds = dict.fromkeys(floats, pl.Float64) | {"benchmark": pl.String}
        trials = pl.DataFrame(self.trials, schema_overrides=kinds).filter(
            ~pl.col("submission").is_in(list(without))
        )
        schema = {
            "trial_id": pl.Int64, "eval_index": pl.Int64, "global_step": pl.Int64, "submission_seconds": pl.Float64,
            "validation_metric": pl.Float64, "test_metric": pl.Float64, "train_metric": pl.Float64,
        }  # fmt: skip
        evals = pl.DataFrame(self.evals, schema=schema, orient="row").join(trials, on="trial_id", how="semi")
        about = {name: said for name, said in self.about.items() if name not in without}
        return Results(
            trials=trials, evals=evals, left_out=(), source="studies/mini", kind="study",
            about={"studies": about, "data": dict.fromkeys(FACTS, DATA)},
        )  # fmt: skip


def _draw(rng: np.random.Generator) -> dict[str, float]:
    return {
        "learning_rate": float(10 ** rng.uniform(-4, -2)),
        "one_minus_beta1": float(10 ** rng.uniform(-3, math.log10(0.2))),
        "weight_decay": float(10 ** rng.uniform(-4, math.log10(0.5))),
    }
