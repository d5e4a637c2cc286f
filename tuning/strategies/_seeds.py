"""Seeds of suggestions: of the study, folded with how much has been told."""

from __future__ import annotations

import hashlib


def folded(seed: int, told: int) -> int:
    """A seed in 0..2^31 - 1 for the suggestion after so many trials.

    A library whose generator began anew at every suggestion would draw the same numbers each time, such as always the
    one that says to try at random.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}/{told}".encode()).digest()[:4], "big") >> 1
