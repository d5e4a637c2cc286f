"""Studies as earlier formats wrote them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl


def as_format_1(folder: Path) -> None:
    """Turns a study into what the first format wrote: other names, and programs that stood nowhere."""
    as_format_2(folder)
    path = folder / "study.json"
    raw = json.loads(path.read_text())
    raw["width"], raw["widths"] = raw.pop("cohort_size"), raw.pop("cohort_sizes")
    del raw["programs"]
    path.write_text(json.dumps(raw | {"format": 1}, indent=1))
    for file in folder.rglob("*.parquet"):
        trials = pl.read_parquet(file).rename({"cohort": "batch", "cohort_seconds": "batch_seconds"})
        trials.write_parquet(file)


def as_format_2(folder: Path) -> None:
    """Turns a study into what the second format wrote: it knew neither growth nor checksums."""
    path = folder / "study.json"
    raw = json.loads(path.read_text())
    for key in ("blocks", "grown", "sealed"):
        del raw[key]
    path.write_text(json.dumps(raw | {"format": 2}, indent=1))
    for file in folder.rglob("*.parquet"):
        pl.read_parquet(file).write_parquet(file)
