"""Which other values are legal in the files of each kind: what a person may write there and mean."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import msgpack
import numpy as np
import polars as pl

from benchmarks._legal import (
    ABSENT,
    Legal,
    Rule,
    any_of,
    either,
    json_by,
    never,
    npz_by,
    number,
    table_by,
    text,
    whole,
)
from workloads.data import tfrecord

_RATE = number(above=0)
_WARMUP = number(0, 0.999)
_LIST = json_by(
    Rule(("name",), text, "a list may have any name"),
    Rule(("source",), text, "a source is any text"),
    Rule(("penalty",), number(1.5), "a penalty is at least 1, and no cost is above it"),
    Rule(("costs", "0"), number(1.2, 2.0), "a cost is above 0 and at most the penalty, and none after it is higher"),
    Rule(("costs", "1"), number(above=0, high=1.5), "a cost is above 0, and at most the one before it"),
    Rule(("points", "*", "hyperparameters", "learning_rate"), _RATE, "a learning rate is any positive number"),
    Rule(("points", "*", "hyperparameters", "warmup_fraction"), _WARMUP, "a warmup takes a part of the steps, or none"),
)  # fmt: skip
_POINTS = json_by(
    Rule(("*", "learning_rate"), _RATE, "a learning rate is any positive number"),
    Rule(("*", "warmup_fraction"), _WARMUP, "a warmup takes a part of the steps, or none"),
)
_SPACE = json_by(
    Rule(("learning_rate", "min"), number(above=0, high=0.0099), "bounds are positive and ascend"),
    Rule(("learning_rate", "max"), number(above=1e-4), "bounds are positive and ascend"),
    Rule(("warmup_fraction", "feasible_points", "*"), _WARMUP, "a warmup takes a part of the steps, or none"),
    Rule(
        ("warmup_fraction",), either(ABSENT), "hyperparameters that are not searched over have their default"
    ),
)
_TARGETS = json_by(
    Rule(("targets", "*", "metric"), text, "a metric has any name; the workload's own is compared with it"),
    Rule(("targets", "*", "validation_target"), number(), "a target is any number"),
    Rule(("targets", "*", "test_target"), any_of(number(), either(None, ABSENT)), "a target is any number, or none"),
    Rule(("targets", "a/b"), either(ABSENT), "a workload may have no target"),
    Rule(("targets", "a/bb"), lambda value: isinstance(value, dict), "another workload may have one"),
    Rule(("targets",), either({}), "no workload has a target yet"),
)  # fmt: skip
_FACTS = json_by(
    Rule(("workloads", "*", "name"), lambda value: isinstance(value, str), "facts of another workload"),
    Rule(
        ("workloads", "*", "parameters"),
        any_of(whole(0), either(None)),
        "a number of parameters, or not known",
    ),
    Rule(("workloads",), either([]), "facts of no workload"),
)


def _positive(column: object) -> bool:
    return isinstance(column, pl.Series) and column.dtype.is_numeric() and bool((column > 0).all())


_FRACTIONS = table_by(
    Rule(
        ("rows",), lambda table: len(table) > 0, "a table of fewer points; a last line may have no line end"
    ),
    Rule(("fraction",), _positive, "a fraction is any positive number, or inf"),
)


def _runs(valid: Path, spoilt: Path) -> str:
    """Of the lines that tell what runs cost: none, or each with all of its values of their types."""
    if not spoilt.exists() or not spoilt.read_bytes():
        return "a run that was killed leaves none"
    types = {
        "trials": int,
        "compilations": int,
        "compile_seconds": float,
        "seconds": float,
        "device": str,
        "command": str,
    }
    before = json.loads(valid.read_text())
    for line in spoilt.read_text().splitlines():
        run = json.loads(line)
        if run.keys() != before.keys() or not all(
            isinstance(run[name], kind) for name, kind in types.items()
        ):
            return ""
    return "a command or a device is any text"


def _texts(column: object) -> bool:
    return isinstance(column, pl.Series) and column.dtype == pl.String and all(map(text, column))


def _nothing(column: object) -> bool:
    return isinstance(column, pl.Series) and column.null_count() == len(column)


def _not_finite(column: object) -> bool:
    return (
        isinstance(column, pl.Series)
        and (column.dtype.is_float() or column.dtype == pl.Null)
        and all(value is None or not math.isfinite(value) for value in column)
    )


def _losses(column: object) -> bool:
    return isinstance(column, pl.Series) and column.dtype == pl.List(pl.Float32)


def _points(column: object) -> bool:
    try:
        points = [json.loads(text) for text in column if text is not None]  # type: ignore[attr-defined]
        return all(all(map(number(), point.values())) for point in points)
    except (TypeError, ValueError, AttributeError):
        return False


def _floats(array: object) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


_LOG_TABLES = table_by(
    Rule(("submission",), _texts, "a submission may have any name"),
    Rule(("hparams",), _nothing, "a trial may not have recorded its hyperparameters"),
    Rule(("*_metric",), number(), "a metric is any number"),
    Rule(("*_metric",), _not_finite, "null or NaN where the metric was no finite number: a diverged trial"),
)
_SPLITS = ("train", "valid_inner", "valid_outer", "test")
_LOSSES = "a loss is any number: negative for log-densities, huge, inf or NaN where training diverged"
_UNKNOWN = any_of(_nothing, either(ABSENT))
_CURVE_TABLE = table_by(
    Rule(("set",), _texts, "a set may have any name"),
    Rule(("update_rule",), _texts, "an update rule may have any name"),
    Rule(("provenance",), _texts, "a provenance is any text"),
    Rule(("hyperparameters",), _UNKNOWN, "null where not known"),
    Rule(("hyperparameters",), _points, "a hyperparameter has any name and is any number"),
    Rule(("update_rule",), _UNKNOWN, "null where not known"),
    Rule(("provenance",), _UNKNOWN, "null where not known"),
    *(Rule((split,), _nothing, "null where a split was not kept") for split in _SPLITS),
    *(Rule((split,), _losses, _LOSSES) for split in _SPLITS),
)
_CURVES = npz_by(
    Rule(("ys",), _floats, _LOSSES),
    Rule(("train",), _floats, _LOSSES),
    Rule(("valid_*",), _floats, _LOSSES),
)
_STUDY = json_by(
    Rule(("name",), text, "a study may have any name"),
    Rule(("title",), lambda value: isinstance(value, str), "a study may have any title"),
)
_COHORT = table_by(
    Rule(("validation_target",), number(), "a target is any number"),
    Rule(("validation_target",), _nothing, "a workload may have no target"),
)
_FEATURES = json_by(
    Rule(
        ("featuresDict", "features", "*"),
        either(ABSENT),
        "features that are not named are not read, as by TFDS",
    ),
)


def _released(valid: Path, spoilt: Path) -> str:
    return _CURVES(valid, spoilt) if os.path.lexists(spoilt) else "a release of a task less"


def _idx(valid: Path, spoilt: Path) -> str:
    """Of files of pictures and labels, which hold no checksum: the same sizes, and labels of ten classes."""
    before, after = (path.read_bytes() for path in (valid, spoilt))
    header = 16 if before[3] == 3 else 8
    if before[:header] != after[:header] or len(before) != len(after):
        return ""
    if header == 16:
        return "a pixel is any byte"
    return "a label is any of the ten" if max(after[8:]) < 10 else ""


def _records(valid: Path, spoilt: Path) -> str:
    """Of files of records: the same records but for labels and texts that are legal."""
    try:
        before, after = (
            [tfrecord.parse_example(record) for record in tfrecord.records(path)] for path in (valid, spoilt)
        )
    except (ValueError, OSError):
        return ""
    if len(before) != len(after):
        return ""
    whys = set()
    for old, new in zip(before, after, strict=True):
        if old.keys() != new.keys():
            return ""
        for name, value in new.items():
            if len(value) == len(old[name]) and np.array_equal(old[name], value):
                continue
            if len(value) != 1:
                return ""
            if name == "label" and isinstance(value, np.ndarray) and value.dtype == np.int64:
                if not -1 <= value[0] < (10 if "image" in new else 2):
                    return ""
                whys.add("a label is any of the classes, or -1 where it is hidden")
            elif name == "text" and isinstance(value, list):
                whys.add("a text is any bytes, or none")
            else:
                return ""
    return "; ".join(sorted(whys))


def _weights(valid: Path, spoilt: Path) -> str:
    """Of trained weights, which hold no checksum: the same names, shapes and types, and finite numbers."""
    before, after = (path.read_bytes() for path in (valid, spoilt))
    if valid.suffix == ".safetensors":
        start = 8 + int.from_bytes(before[:8], "little")
        parts = [(content[:start], [content[start:]]) for content in (before, after)]
    else:
        try:
            parts = [_msgpack_parts(content) for content in (before, after)]
        except (ValueError, TypeError):
            return ""
    (head, old), (same, new) = parts
    if head != same or [len(one) for one in old] != [len(one) for one in new]:
        return ""
    finite = all(np.isfinite(np.frombuffer(one, "<f4")).all() for one in new)
    return "a weight is any finite number" if finite else ""


def _msgpack_parts(content: bytes) -> tuple[object, list[bytes]]:
    """What a file of weights has but for its numbers, and these."""
    numbers: list[bytes] = []

    def array(code: int, data: bytes) -> tuple[object, ...]:
        shape, kind, values = msgpack.unpackb(data)
        numbers.append(values)
        return code in (1, 3), shape, kind  # to Flax an array, or an array as a scalar: the same numbers

    return msgpack.unpackb(content, ext_hook=array), numbers


def _code(valid: Path, spoilt: Path) -> str:
    """Of a user's own code: another program, but a program."""
    del valid
    try:
        compile(spoilt.read_bytes(), "mine.py", "exec")
    except (SyntaxError, ValueError):
        return ""
    return "other code of the user's own"


RULES: Mapping[str, Legal] = {
    "list file": _LIST,
    "list of points": _POINTS,
    "search space": _SPACE,
    "targets": _TARGETS,
    "facts": _FACTS,
    "fractions, CSV": _FRACTIONS,
    "fractions, Parquet": _FRACTIONS,
    "study.json": _STUDY,
    "cohort without a checksum": _COHORT,
    "runs of a study": _runs,
    "AlgoPerf's trials.parquet": _LOG_TABLES,
    "AlgoPerf's evals.parquet": _LOG_TABLES,
    "curve table": _CURVE_TABLE,
    "released curves": _released,
    "replica means": _CURVES,
    "weights": _weights,
    "PyLO's weights": _weights,
    "IDX images": _idx,
    "IDX labels": _idx,
    "TFRecord of images": _records,
    "TFRecord of texts": _records,
    "TFDS's features.json": _FEATURES,
    "own optimizer": _code,
    "own workload": _code,
}


def legal_still(kind: str, valid: Path, spoilt: Path) -> str:
    """Why a spoilt file of a kind is a legal one still; "" where it is none, or no rule is known."""
    return RULES.get(kind, never)(valid, spoilt)
