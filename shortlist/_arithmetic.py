"""How steps are computed: --precision and --micro-batches of run and tune, --devices-per-trial of tune."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

Precision = Annotated[
    Literal["float32", "bfloat16"],
    typer.Option(
        help="bfloat16: products of AlgoPerf's native models in bfloat16; parameters, optimizer, loss and evaluations "
        "stay float32. float32 is TF32 on NVIDIA's devices, as AlgoPerf's. Recorded; trials of both are never mixed.",
    ),
]
MicroBatches = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        help="Compute every step's gradient in N parts of the batch, where the whole does not fit into memory; takes "
        "about a third longer. The same numbers up to rounding, but for dropout, which is drawn anew for each part, "
        "and batch normalisation, which sees one part's statistics at a time.",
    ),
]
DevicesPerTrial = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=1,
        help="Devices of a process that share the batches of a trial, where one is too small or too slow for it; the "
        "others train other trials. Batches must divide. The same numbers up to the order of sums.",
    ),
]
