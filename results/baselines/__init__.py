"""What tuned baselines need for a loss: curves by which any optimizer's speed-up is measured. Nothing here needs JAX.

    >>> from pathlib import Path
    >>> from results import baselines
    >>> kept = baselines.read_baselines([Path("baselines/adam")])  # doctest: +SKIP
    >>> kept.curves["digits/conv"].steps_to(0.25)  # doctest: +SKIP

| function | question |
|---|---|
| `tuned_curve` | what does an optimizer reach whose learning rate is the best at every step? |
| `lower_envelope` | and the best of several optimizers? |
| `BaselineCurve.steps_to` | how many steps does that take for a loss? |
| `read_baselines`, `write_baselines` | curves from trainings, files of ours, and VeLOdrome's released files |
| `training_losses` | training losses of studies, curves and logs |
"""

from results.baselines._baselines import Baselines, read_baselines, write_baselines
from results.baselines._curve import DECAY, POINTS, BaselineCurve, lower_envelope, smoothed, tuned_curve
from results.baselines._losses import TrainingLosses, training_losses

__all__ = [
    "DECAY",
    "POINTS",
    "BaselineCurve",
    "Baselines",
    "TrainingLosses",
    "lower_envelope",
    "read_baselines",
    "smoothed",
    "training_losses",
    "tuned_curve",
    "write_baselines",
]
