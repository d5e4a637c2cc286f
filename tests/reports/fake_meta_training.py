"""The folder of a meta-training that never was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from results import meta_trainings

PLAN = {
    "optimizer": "learnable_adam",
    "distribution": {"workloads": ["a", "b"], "weights": [1.0, 1.0], "data_dir": None},
    "estimator": {"kind": "persistent-es", "std": 0.01},
    "seed": 3,
    "switches": {},
}
DATA = "synthetic: drawn by a random teacher, in place of cifar10"


def evaluation(outer_step: int, workload: str, steps: int, seed: int, loss: float | None) -> dict[str, Any]:
    """A row; no loss: it diverged."""
    return {
        "outer_step": outer_step,
        "weights": f"of {outer_step}",
        "workload": workload,
        "steps": steps,
        "seed": seed,
        "status": "diverged" if loss is None else "done",
        "diverged_step": 3 if loss is None else None,
        "train_loss": loss,
        "initial_loss": 2.0,
        "relative_loss": None if loss is None else loss / 2.0,
        "validation_loss": loss,
        "metric": "error_rate",
        "minimize": True,
        "validation_metric": loss,
        "seconds": 1.0,
        "compile_seconds": 0.0,
        "data": DATA,
    }


def fake_meta_training(folder: Path, evaluated: bool = True) -> Path:
    """Three rows, a change, and evaluations of two workloads, one of them trained on, at two horizons."""
    folder.mkdir(parents=True)
    description = {
        "format": 1,
        "plan": PLAN,
        "parts": 1,
        "made_by": {"versions": {"jax": "0.0"}, "device": "cpu × 1", "command": "shortlist meta-train"},
        "data": {"a": DATA, "b": "embedded: digits"},
    }
    (folder / meta_trainings.DESCRIPTION).write_text(json.dumps(description))
    speed = {"seconds": 2.0, "compile_seconds": 1.0, "inner_steps_per_second": 50.0, "distance": 0.5}
    of_learner = {"accepted": 9, "refused": 1, "staleness": 1.5, "workers": 2}
    rows: list[dict[str, Any]] = [
        {"outer_step": 10, "meta_loss": 0.9, "gradient_norm": 2.0, "inner_steps": 100, **speed,
         "workloads": {"a": 1.0, "b": 0.8}},
        {"outer_step": 20, "meta_loss": 0.7, "gradient_norm": float("nan"), "inner_steps": 200, **speed,
         "workloads": {"a": 0.7}},
        {"outer_step": 20, "changed": {"learning_rate": [0.001, 0.0001]}},
        {"outer_step": 30, "meta_loss": 0.6, "gradient_norm": 1.0, "inner_steps": 300, **speed, **of_learner,
         "workloads": {"b": 0.6}},
    ]  # fmt: skip
    (folder / meta_trainings.RECORD).write_text("".join(json.dumps(row) + "\n" for row in rows))
    meta_trainings.write_state(folder, 30, 40, ended=True)
    if evaluated:
        made = [
            # 1.6, 1.4, ...: relative .8, .7, and half of that where trained longer; c is better by .2.
            evaluation(outer_step, workload, steps, seed, (1.6 - outer_step / 50 - shift + 0.1 * seed) * part)
            for outer_step in (0, 30)
            for workload, shift in (("a", 0.0), ("c", 0.2))
            for steps, part in ((50, 1.0), (100, 0.5))
            for seed in range(3)
        ]
        meta_trainings.add_evaluations(folder, [{"evaluator": {"device": "cpu × 2"}}, *made])
    return folder
