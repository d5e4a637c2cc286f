"""The workloads of an installed AlgoPerf: its own objects, and the same behind our interface.

Importing this costs no JAX and no AlgoPerf.
"""

from workloads.installed._algoperf import known, names, real_workload
from workloads.installed._presence import PREFIX, STAND_IN, is_installed

__all__ = ["PREFIX", "STAND_IN", "is_installed", "known", "names", "real_workload"]
