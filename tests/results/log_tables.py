"""Made-up logs of AlgoPerf as tables."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def tables(folder: Path, trials: list[dict], evals: list[dict] | None = None) -> Path:
    """trials.parquet and evals.parquet; each trial hits its target at 100 s, unless evaluations are given."""
    columns = {
        "leaderboard": "v0.5", "ruleset": "external", "submission": "s", "study": 0, "workload": "wmt", "trial": 1,
        "framework": "jax", "hparams": "{}", "meta_validation_target": 30.8491, "step_hint": 133333.0,
        "max_allowed_runtime_sec": 48151.0, "eval_period_sec": 840.0,
    }  # fmt: skip
    rows = [columns | {"trial_id": i, "source_path": f"trial {i}"} | row for i, row in enumerate(trials)]
    hit = {
        "eval_index": 0, "global_step": 100, "accumulated_submission_time": 100.0, "validation_metric": 31.0,
        "test_metric": 31.0, "train_metric": 31.0, "validation_loss": 1.0,
    }  # fmt: skip
    given = evals if evals is not None else [{"trial_id": i} for i in range(len(rows))]
    folder.mkdir(exist_ok=True)
    pl.DataFrame(rows, infer_schema_length=None).write_parquet(folder / "trials.parquet")
    pl.DataFrame([hit | row for row in given], infer_schema_length=None).write_parquet(
        folder / "evals.parquet"
    )
    return folder
