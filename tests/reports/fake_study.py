"""Studies that nobody trained: learning curves from a formula, in the shape that readers of real studies
give.

Six workloads with different best learning rates, forty candidates, three baselines, leave-one-out lists
trained anew three times, trials that miss, trials that diverge, and on request names that try to break out
of a page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl

import lists
from results import LeftOut, Results

#               name                      metric       minimize  target  best log10(lr)  sensitivity
WORKLOADS = (
    ("algoperf/mnist", "accuracy", False, 0.952, -2.6, 0.9),
    ("taskset/mlp_family_seed12", "loss", True, 0.62, -3.1, 0.7),
    ("digits/conv", "error_rate", True, 0.055, -2.9, 1.0),
    ("photographs/autoencoder", "loss", True, 0.48, -3.4, 0.8),
    ("text/char_rnn", "loss", True, 0.55, -2.4, 0.9),
    ("clicks/two_towers", "loss", True, 0.66, -3.7, 1.3),
)
DATA = {
    "algoperf/mnist": "embedded: scikit-learn's 1,797 digits, scaled up to 28 × 28, in place of MNIST",
    "taskset/mlp_family_seed12": "embedded: 1,797 handwritten digits of scikit-learn, in place of CIFAR-10",
    "digits/conv": "real: 1,797 handwritten digits of scikit-learn",
    "photographs/autoencoder": "real: 8 × 8 patches of scikit-learn's two photographs",
    "text/char_rnn": "embedded: text of the Python standard library",
    "clicks/two_towers": "synthetic: clicks drawn from a random teacher, in place of Criteo 1TB",
}
HOSTILE = '<script>alert("1")</script> $x^{2 | `rm` </svg> & \u202eevil'
STEP_HINT, EVALS = 1000, 20


def fake_study(
    *,
    candidates: int = 40,
    repeats: int = 3,
    workloads: Sequence[str] | None = None,
    baselines: bool = True,
    leave_one_out: bool = True,
    targets: bool = True,
    hostile: bool = False,
    size: int = 5,
    seed: int = 0,
) -> Results:
    """Results of several merged studies, the same for the same arguments."""
    rng = np.random.default_rng(seed)
    size = min(size, candidates) if candidates else size
    chosen = [w for w in WORKLOADS if workloads is None or w[0] in workloads]
    points = {str(i): _draw(rng) for i in range(candidates)}
    trials, evals, about = [], [], {}

    def run(study: str, title: str, role: str, runs: Iterable[tuple[str, str, dict]], times: int) -> None:
        """Trains (workload, point, hyperparameters), each `times` times."""
        runs = list(runs)
        order: dict[str, list[str]] = {}
        for workload, point, hyperparameters in runs:
            order.setdefault(workload, []).append(point)
            facts = next(w for w in WORKLOADS if w[0] == workload)
            for repeat in range(times):
                curve = _curve(facts, hyperparameters, np.random.default_rng([seed, len(trials)]))
                number = len(order[workload])
                trials.append(
                    _trial(len(trials), study, repeat, facts, number, point, hyperparameters, curve, targets)
                )
                evals.extend(_evals(len(trials) - 1, curve))
        about[study] = {
            "role": role, "title": title, "strategy": "quasirandom" if role == "candidates" else "list",
            "draws": "quasi-random" if role == "candidates" else "chosen",
            "budget": len({p for _, p, _ in runs}), "seed": seed, "repeats": times,
            "optimizer": "nadamw_optax",
            "device": "cpu × 1 (imaginary, 2 cores)", "versions": {"python": "3.11.7", "jax": "0.10.2"},
            "commands": f"shortlist tune --study {study}", "seconds": 0.5 * len(runs) * times,
        }  # fmt: skip

    names = [w[0] for w in chosen]
    if candidates:
        title = HOSTILE if hostile else "quasi-random search"
        run("candidates", title, "candidates", ((w, p, h) for w in names for p, h in points.items()), 1)
    if baselines:
        sweep = [10 ** (-4 + 2 * i / (size - 1)) for i in range(size)]
        for decay in (0.5, 1e-4):
            sweep_points = {
                f"lr{i}": _draw(rng) | {"learning_rate": lr, "weight_decay": decay}
                for i, lr in enumerate(sweep)
            }
            runs = ((w, p, h) for w in names for p, h in sweep_points.items())
            run(f"sweep-{decay}", f"learning-rate sweep, weight decay {decay:g}", "baseline", runs, repeats)
        metz = {f"metz{i}": _draw(rng) | {"learning_rate": 10 ** rng.uniform(-3, -1)} for i in range(size)}
        runs = ((w, p, h) for w in names for p, h in metz.items())
        run("metz", f"<b>{HOSTILE}</b>" if hostile else "Metz et al., first 5", "baseline", runs, repeats)
    if candidates and leave_one_out and len(names) > 1 and targets:
        values = _fractions(trials, evals, names, list(points))
        left = lists.leave_one_out(values, size)
        runs = [
            (w, str(p), points[str(p)]) for w, one in zip(names, left.lists, strict=True) for p in one.points
        ]
        run("leave-one-out", "leave-one-out list", "leave-one-out", runs, repeats)

    floats = ("validation_target", "test_target", "max_runtime_seconds")
    kinds = dict.fromkeys(floats, pl.Float64) | {"benchmark": pl.String}
    return Results(
        trials=pl.DataFrame(trials, schema_overrides=kinds),
        evals=pl.DataFrame(
            evals,
            schema_overrides={"submission_seconds": pl.Float64, "train_metric": pl.Float64},
            infer_schema_length=None,
        ),
        left_out=(LeftOut("trials/algoperf__mnist/00007.parquet", HOSTILE if hostile else "half-written"),),
        source="studies/demo",
        kind="study",
        about={"studies": about, "data": {name: DATA[name] for name in names}},
    )


def _draw(rng: np.random.Generator) -> dict[str, float]:
    return {
        "learning_rate": float(10 ** rng.uniform(-4, -2)),
        "one_minus_beta1": float(10 ** rng.uniform(-3, math.log10(0.2))),
        "one_minus_beta2": float(10 ** rng.uniform(-3, math.log10(0.2))),
        "weight_decay": float(10 ** rng.uniform(-4, math.log10(0.5))),
        "warmup_fraction": float(rng.choice([0.02, 0.05, 0.1])),
        "label_smoothing": float(rng.choice([0.0, 0.1, 0.2])),
        "dropout_rate": float(rng.choice([0.0, 0.1])),
    }


def _curve(facts: tuple, hyperparameters: dict, rng: np.random.Generator) -> np.ndarray:
    """The metric at every evaluation; NaN after the trial diverged."""
    _, metric, minimize, target, best, sensitivity = facts
    distance = abs(math.log10(hyperparameters["learning_rate"]) - best) * sensitivity
    distance += 0.25 * abs(math.log10(hyperparameters["one_minus_beta1"]) + 1.3 + 0.4 * best / 3)
    progress = np.arange(1, EVALS + 1) / EVALS
    left = np.exp(-(7.0 - 4.5 * distance) * np.maximum(progress - 0.03, 0)) * (
        1 + 0.03 * rng.normal(size=EVALS)
    )
    start = {"accuracy": 0.9, "error_rate": 0.9, "loss": 2.3}[metric]
    gap = 1 - target if metric == "accuracy" else target
    floor = gap * (0.86 + 0.13 * distance + 0.02 * rng.normal())
    value = floor + (start - floor) * left
    if math.log10(hyperparameters["learning_rate"]) - best > 1.05 + 0.1 * rng.normal():
        value[int(rng.integers(2, EVALS)) :] = np.nan
    return np.clip(value if minimize else 1 - value, 0.0 if metric != "loss" else 1e-3, None)


def _trial(i, study, repeat, facts, number, point, hyperparameters, curve, targets) -> dict:
    name, metric, minimize, target, *_ = facts
    return {
        "trial_id": i, "benchmark": None, "submission": study, "repeat": repeat, "workload": name,
        "trial": number, "point": point, "framework": "jax",
        "hyperparameters": json.dumps(hyperparameters, sort_keys=True),
        "metric": metric, "minimize": minimize,
        "validation_target": target if targets else None, "test_target": None,
        "step_hint": float(STEP_HINT), "max_runtime_seconds": None,
        "status": "diverged" if np.isnan(curve).any() else "done", "data": DATA[name],
    }  # fmt: skip


def _evals(i: int, curve: np.ndarray) -> list[dict]:
    steps = np.arange(1, EVALS + 1) * STEP_HINT // EVALS
    return [
        {
            "trial_id": i, "eval_index": k, "global_step": int(step), "submission_seconds": None,
            "validation_metric": None if math.isnan(value) else float(value),
            "test_metric": None if math.isnan(value) else float(value), "train_metric": None,
        }
        for k, (step, value) in enumerate(zip(steps, curve, strict=True))
    ]  # fmt: skip


def _fractions(trials: list[dict], evals: list[dict], workloads: list[str], points: list[str]) -> np.ndarray:
    """Step fractions of the candidates, worked out anew rather than with the code under test."""
    values = np.full((len(points), len(workloads)), np.inf)
    of_trial = {t["trial_id"]: t for t in trials if t["submission"] == "candidates"}
    for row in evals:
        trial, value = of_trial.get(row["trial_id"]), row["validation_metric"]
        if trial is None or value is None:
            continue
        sign = 1 if trial["minimize"] else -1
        if sign * value <= sign * trial["validation_target"]:
            cell = points.index(trial["point"]), workloads.index(trial["workload"])
            values[cell] = min(values[cell], row["global_step"] / STEP_HINT)
    return values
