"""The protocol of Medapati et al.: a list from the candidates, judged where it has not been, against baselines."""

from __future__ import annotations

from tuning.protocols._protocol import Choose, Protocol, Report, Rerun, Scale, Tune

MEDAPATI = Protocol(
    reference="Medapati et al. 2025, arXiv:2503.03986, sections 2.5 to 3.1",
    stages=(
        Tune("quasirandom", "medapati-candidates"),
        Tune("lr-sweep-wd-0.5", "lr-sweep", {"weight_decay": 0.5}),
        Tune("lr-sweep-wd-0.0001", "lr-sweep", {"weight_decay": 1e-4}),
        Tune("medapati2025", "list", published="medapati2025"),
        Tune("metz2020-appendix_f", "list", published="metz2020/appendix_f"),
        Tune("vizier", "vizier", optional=True),  # many seconds per suggestion
        Choose("quasirandom"),
        Rerun("leave-one-out", "quasirandom"),
        Report(),
    ),
    scales={
        # Two cores, minutes.
        "demo": Scale(
            workloads=(
                "algoperf/mnist",
                "taskset/mlp_family_seed15",
                "digits/conv",
                "photographs/autoencoder",
                "stdlib/char_rnn",
                "clicks/mlp",
            ),
            candidates=40,
            repeats=3,
            size=5,
        ),
    },
)
