"""Where the user's caches are. Nothing here needs JAX."""

from __future__ import annotations

import os
import pathlib


def cache_folder() -> pathlib.Path | None:
    """Of this package, in $XDG_CACHE_HOME, else in ~/.cache; None for a user without a home, as in many containers."""
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return pathlib.Path(base or pathlib.Path.home() / ".cache") / "shortlist"
    except RuntimeError:  # neither $HOME nor an entry among the users
        return None
