"""Where points come from, behind one interface: ask for points, tell what became of them. Nothing here needs JAX."""

from submissions.points import Point, Told
from tuning.strategies._strategies import (
    STRATEGIES,
    LearningRateSweep,
    Listed,
    MedapatiCandidates,
    Quasirandom,
    Strategy,
    TaskSetGrid,
    Vizier,
    from_spec,
    to_spec,
)

__all__ = [
    "STRATEGIES",
    "LearningRateSweep",
    "Listed",
    "MedapatiCandidates",
    "Point",
    "Quasirandom",
    "Strategy",
    "TaskSetGrid",
    "Told",
    "Vizier",
    "from_spec",
    "to_spec",
]
