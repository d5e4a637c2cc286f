"""What a service suggested for a study, in which order and knowing what: so that a study stays explained."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec

from workloads.data import reading
from workloads.data.files import write_once


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """A point that a service suggested.

    Attributes:
      number: how many it had suggested before on this workload; the point's id.
      hyperparameters: of the point.
      told: numbers of the suggestions whose results it knew. What it did not know of the one before came in between.
      pending: numbers of those that were outstanding.
      client: host, process and place of who asked.
      cpu_seconds: what the service took for it.
    """

    number: int
    hyperparameters: Mapping[str, float]
    told: tuple[int, ...]
    pending: tuple[int, ...]
    client: str
    cpu_seconds: float


def write_suggestion(folder: Path, workload: str, suggestion: Suggestion) -> None:
    """Keeps a suggestion with the study, unless it is there."""
    content = msgspec.json.format(msgspec.json.encode(suggestion), indent=1) + b"\n"
    write_once(_folder(folder, workload) / f"{suggestion.number:05d}.json", content)


def read_suggestions(folder: Path, workload: str) -> tuple[Suggestion, ...]:
    """What a service suggested on a workload of a study, in order; () where none was asked.

    Raises:
      ValueError: a file that cannot be read; names it.
    """
    found = []
    for path in reading.matching(_folder(folder, workload), "[0-9]*.json"):
        try:
            found.append(msgspec.convert(reading.read_json(path), Suggestion))
        except msgspec.ValidationError as error:
            raise ValueError(f"{path}: {error}; delete it, or restore it") from None
    return tuple(sorted(found, key=lambda one: one.number))


def service_name(folder: Path) -> str:
    """What a study is called by services: its folder's name, and what no other study has. Made when first asked for."""
    path = folder / "service.json"
    write_once(path, msgspec.json.encode({"name": f"{folder.resolve().name}.{uuid.uuid4().hex[:8]}"}) + b"\n")
    try:
        return msgspec.convert(reading.read_json(path), dict[str, str])["name"]
    except (msgspec.ValidationError, KeyError) as error:
        raise ValueError(f"{path}: {error}; must be an object with a name") from None


def _folder(folder: Path, workload: str) -> Path:
    return folder / "suggestions" / workload.replace("/", "__")
