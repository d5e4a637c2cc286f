"""How training is computed where that is not as the workload is written: in micro-batches, or in mixed precision.

Importable without JAX.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from workloads.spelling import did_you_mean

if TYPE_CHECKING:
    from workloads._workload import Workload

PRECISIONS = ("float32", "bfloat16")


@dataclasses.dataclass(frozen=True)
class Arithmetic:
    """How a training step is computed. Evaluations are always as the workload is written, in float32.

    Attributes:
      precision: one of `PRECISIONS`. "float32": as JAX multiplies it by default, which on NVIDIA's devices is TF32, as
        AlgoPerf's. "bfloat16": the model's products are; parameters, their gradients, the optimizer and the loss stay
        float32.
      micro_batches: parts of a batch that the model sees one after the other, so that only one part's activations are
        in memory. See `workloads._micro_batches` for what that changes.
    """

    precision: str = "float32"
    micro_batches: int = 1

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            hint = did_you_mean(self.precision, PRECISIONS)
            raise ValueError(f"precision is {self.precision!r}{hint}; must be {' or '.join(PRECISIONS)}")
        if self.micro_batches < 1:
            raise ValueError(f"micro_batches is {self.micro_batches}; must be at least 1")

    def check_batch(self, name: str, batch_size: int, devices: int) -> None:
        """Accepts a batch size over so many devices.

        Raises:
          ValueError: it cannot be cut into equal parts of which every device has as much.
        """
        if self.micro_batches > 1 and batch_size % (self.micro_batches * devices):
            over = f" over {devices} devices" if devices > 1 else ""
            raise ValueError(
                f"{name}: a batch of {batch_size} examples cannot be cut into {self.micro_batches} equal "
                f"micro-batches{over}; ask for another number of them"
            )


def computed(workload: Workload, arithmetic: Arithmetic) -> Workload:
    """The workload, trained by such arithmetic; itself where that is how it is written.

    Raises:
      ValueError: it cannot be.
    """
    if arithmetic.precision != "float32":
        from workloads._precision import in_bfloat16

        workload = in_bfloat16(workload)
    if arithmetic.micro_batches > 1:
        from workloads._micro_batches import in_micro_batches

        workload = in_micro_batches(workload, arithmetic.micro_batches)
    return workload
