"""Targets as data: what the stored procedure measured, read from `targets.json`."""

from __future__ import annotations

import importlib.resources
import pathlib
from collections.abc import Mapping

import msgspec

from workloads.data import reading
from workloads.spelling import did_you_mean


class Target(msgspec.Struct, frozen=True):
    """The part of a target that training needs; the file may say more about how it was measured."""

    metric: str  # the metric that the values belong to
    validation_target: float
    test_target: float | None = None


_KEYS = Target.__struct_fields__


class _File(msgspec.Struct):
    format: int
    targets: dict[str, Target]


def read_targets(path: pathlib.Path | None = None) -> Mapping[str, Target]:
    """Workload name -> target. A workload that is absent has no target yet.

    Args:
      path: a file of the form {"format": 1, "targets": {name: {"metric": ..., "validation_target": ...,
        "test_target": ... or null}}}; other keys are allowed, but for misspelt ones. None: the file of this package,
        and an empty mapping if nobody made it yet.

    Raises:
      ValueError: not such a file; the message names the key.
      FileNotFoundError: a path was given and is not there.
    """
    where = str(path) if path is not None else "targets.json"
    if path is None:
        resource = importlib.resources.files("workloads") / "targets.json"
        if not resource.is_file():
            return {}
        content = resource.read_bytes()
    else:
        content = reading.read_bytes(path)
    data = reading.parse_json(content, where)
    try:
        file = msgspec.convert(data, _File)
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}; expected {{'format': 1, 'targets': {{name: ...}}}}") from None
    if file.format != 1:
        raise ValueError(f"{where}: format {file.format} is not known; this version reads format 1")
    for name, target in file.targets.items():
        if not target.metric.strip():
            raise ValueError(
                f"{where}: {name}: metric is empty; must name the metric that the values belong to"
            )
        for key in data["targets"][name].keys() - set(_KEYS):
            # Else a target would be lost without a word, as both others and a missing test target are allowed.
            if hint := did_you_mean(key, _KEYS):
                raise ValueError(f"{where}: {name}: unknown key {key!r}{hint}")
    return file.targets
