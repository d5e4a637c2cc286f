"""What opda simulated, kept on disk: a level that is asked for again is simulated once.

One small JSON file per band in the user's cache, `bands/` in $XDG_CACHE_HOME/shortlist, else ~/.cache/shortlist. Its
name and its content say what determines the numbers, the versions of opda and of NumPy among it. The folder may be
deleted at any time. A file that is damaged, or of something else, counts as absent, and a folder that cannot be written
is no error: the band is then simulated again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zlib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
from jaxtyping import Float

from workloads.data.caches import cache_folder
from workloads.data.files import write_atomically


@dataclasses.dataclass(frozen=True)
class BandKey:
    """What a simulated band depends on, beside the versions of what simulates it.

    Attributes:
      method: opda's name for the band.
      n: draws.
      confidence: that it holds, in (0, 1).
      seed: of the simulation.
    """

    method: str
    n: int
    confidence: float
    seed: int

    def to_json(self) -> dict[str, str | int | float]:
        """All of it, versions included."""
        versions = {name: metadata.version(name) for name in ("opda", "numpy")}
        return {**dataclasses.asdict(self), **versions}

    @property
    def file_name(self) -> str:
        """Of the file that keeps it."""
        said = self.to_json()
        return "-".join(f"{key}_{said[key]}" for key in said) + ".json"


def kept(key: BandKey, simulate: Callable[[], Float[np.ndarray, " rank"]]) -> Float[np.ndarray, " rank"]:
    """The lower ends of a band: from its file, else simulated and written there.

    Args:
      key: of what band.
      simulate: works it out, where there is no file.
    """
    folder = cache_folder()
    if folder is None:  # a user without a home
        return simulate()
    path = folder / "bands" / key.file_name
    found = _read(path, key)
    if found is None:
        found = simulate()
        with contextlib.suppress(OSError):
            write_atomically(path, _content(key, found))
    return found


def _content(key: BandKey, low: Float[np.ndarray, " rank"]) -> bytes:
    # Python's shortest digits give the same numbers back.
    body = {"band": key.to_json(), "low": low.tolist()}
    return json.dumps({**body, "crc32": _checksum(body)}).encode()


def _read(path: Path, key: BandKey) -> Float[np.ndarray, " rank"] | None:
    """None unless the file is there, whole, and of this very band."""
    try:
        read = json.loads(path.read_bytes())
        body = {name: read[name] for name in ("band", "low")}
        whole = read["crc32"] == _checksum(body) and body["band"] == key.to_json()
        low = np.array(body["low"], dtype=np.float64)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return low if whole and low.shape == (key.n,) else None


def _checksum(body: dict[str, object]) -> int:
    return zlib.crc32(json.dumps(body).encode())
