"""What is done, in which order, on which workloads: the protocols of papers as data.

A protocol is stages (tune, choose, rerun, report), and its scales say how large it is run: the same stages serve a demo
of minutes and the paper's months. `tuning.protocols.run` goes through the stages and needs JAX; nothing here does.

Another thing is a training protocol, such as TaskSet's: how long one trial trains, and how it is evaluated.
"""

from tuning.protocols._medapati import MEDAPATI
from tuning.protocols._metz import METZ, TaskProtocol, TaskScale
from tuning.protocols._protocol import (
    Choose,
    Own,
    Protocol,
    Publish,
    Report,
    Rerun,
    RerunExact,
    Scale,
    Tune,
    Whole,
)

PROTOCOLS = {
    "medapati2025": MEDAPATI,
}
# Over tasks; `tuning.protocols.run_tasks` goes through their stages.
TASK_PROTOCOLS = {
    "metz2020": METZ,
}

__all__ = [
    "MEDAPATI",
    "METZ",
    "PROTOCOLS",
    "TASK_PROTOCOLS",
    "Choose",
    "Own",
    "Protocol",
    "Publish",
    "Report",
    "Rerun",
    "RerunExact",
    "Scale",
    "TaskProtocol",
    "TaskScale",
    "Tune",
    "Whole",
]
