"""The command that trains learned optimizers: meta-train."""

from __future__ import annotations

import contextlib
import dataclasses
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortlist._executor_options import Address, Deadline, Device, Folder, Workers, who_trains
from shortlist._interrupt import interruptible
from shortlist._names import OWN_WORKLOAD, Switches, learned_names, workload_names
from shortlist._output import print_json
from shortlist._progress import Display, progress_display
from shortlist._training_commands import DataDir, Json
from submissions.learned import LEARNED, parsed_switches
from tuning.execution.stopping import Stop

if TYPE_CHECKING:
    from tuning.meta_training.distribution import Distribution
    from tuning.meta_training.estimators import Estimator
    from tuning.meta_training.workers import Workers as LearnersWorkers

KINDS = ("persistent-es", "truncated-es", "full-es", "truncated-gradient", "full-gradient")


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command(epilog=f"Learned optimizers: {', '.join(LEARNED)}. Estimators: {', '.join(KINDS)}.")(
        meta_train
    )


def meta_train(
    optimizer: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Learned optimizer, see below.",
            autocompletion=learned_names,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the training; resumed if it is there.")],
    outer_steps: Annotated[
        int, typer.Option(metavar="N", min=1, help="In all, those of earlier runs included.")
    ],
    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar=f"{OWN_WORKLOAD}[=WEIGHT]",
            help="What to train on; repeat for more. The weight is 1 where there is none.",
            autocompletion=workload_names,
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME[=WEIGHT]", help="All workloads of a family; the weight is the family's."),
    ] = None,
    distribution: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Instead of workloads and families: velo-one or velo-two, tasks of VeLO's families, drawn as in "
            "its phases, with augmentations.",
        ),
    ] = None,
    slowdown: Annotated[
        float,
        typer.Option(
            metavar="X", help="Of --distribution: a step may take so many times its bound on a TPU v4."
        ),
    ] = 50.0,
    estimator: Annotated[
        str, typer.Option(metavar="NAME", help="Of gradients, see below.")
    ] = "persistent-es",
    tasks: Annotated[
        int, typer.Option(metavar="N", min=1, help="Tasks that an estimator trains at a time.")
    ] = 16,
    length: Annotated[
        str,
        typer.Option(
            metavar="SCHEDULE",
            help="Steps of a task: N; loguniform:LOW,HIGH; growing:LOW,HIGH,FINAL_LOW,FINAL_HIGH,OUTER_STEPS.",
        ),
    ] = "loguniform:100,1000",
    unroll: Annotated[
        int, typer.Option(metavar="N", min=1, help="Steps of a window, of estimators that have them.")
    ] = 20,
    std: Annotated[float, typer.Option(metavar="X", help="Of perturbations.")] = 0.01,
    sign: Annotated[
        bool,
        typer.Option(
            "--sign", help="Differences of losses count by their sign, so that all tasks weigh the same."
        ),
    ] = False,
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Of whole trainings: avg, min, last or last_recompute; default: avg."
        ),
    ] = None,
    clip_difference: Annotated[
        float | None, typer.Option(metavar="X", help="Bound of differences of losses, of full-es.")
    ] = None,
    exact_resets: Annotated[
        bool,
        typer.Option("--exact-resets", help="Mend the original's slips where tasks end, of persistent-es."),
    ] = False,
    estimators: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Each has a workload of its own; default: one per workload, at most 8."
        ),
    ] = None,
    per_step: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Estimators of an outer step, in turn; default: all."),
    ] = None,
    resample_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Outer steps after which, in the mean, an estimator gets another workload; default: 100 where there "
            "are several workloads.",
        ),
    ] = None,
    offset: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Tasks of windows begin up to N steps apart; default: the longest length.",
        ),
    ] = None,
    own_batches: Annotated[
        bool, typer.Option("--own-batches", help="Every task has batches of its own; slower, less noise.")
    ] = False,
    meta_loss: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="What is judged: training, of each batch before its update; same-batch, after it; or a role of the "
            "workload's splits, such as validation.",
        ),
    ] = "training",
    raw_losses: Annotated[
        bool, typer.Option("--raw-losses", help="Judge losses as they are, not relative to the initial ones.")
    ] = False,
    learning_rate: Annotated[float, typer.Option(metavar="X", help="Of Adam, of the weights.")] = 3e-4,
    clip: Annotated[float, typer.Option(metavar="X", help="Bound of every element of a gradient.")] = 3.0,
    accumulate: Annotated[
        int, typer.Option(metavar="N", min=1, help="Gradients averaged for a step of Adam.")
    ] = 1,
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE", help="Of the optimizer, where not the released one's; repeat for more."
        ),
    ] = None,
    switch: Switches = None,
    begin_with: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Weights to begin with.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Determines every number.")] = 0,
    record_every: Annotated[
        int, typer.Option(metavar="N", min=1, help="Outer steps of a row of the record.")
    ] = 10,
    checkpoint_seconds: Annotated[
        float, typer.Option(metavar="X", min=0, help="At least so long between two checkpoints.")
    ] = 60.0,
    keep_weights_every: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Keep the weights after every N outer steps for good, for 'meta-evaluate'; default: the newest alone.",
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="X", help="Stop after so long; the same command goes on.")
    ] = None,
    parts: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Programs that an estimate is cut into, each for a worker or a core; changes the order of sums. "
            "Default: as many as give every core of this machine one.",
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who makes estimates; default: this process. processes: one per core; folder: 'shortlist worker' on "
            "any machine; ray: all accelerators of a machine, or a cluster. It changes no number but with "
            "--asynchronous.",
        ),
    ] = None,
    workers: Workers = None,
    asynchronous: Annotated[
        bool,
        typer.Option(
            "--asynchronous",
            help="Workers do not wait for each other: gradients count that come within --staleness. Faster with many "
            "workers, and not reproducible.",
        ),
    ] = False,
    staleness: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=0,
            help="Of --asynchronous: outer steps by which the weights of a gradient may be older; default: 10.",
        ),
    ] = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Train the weights of a learned optimizer on workloads, in this process or with many workers.

    What may be changed while it runs is read again from settings.json in --out, see docs/meta_training.md.

    Example: shortlist meta-train --optimizer learnable_adam --workload digits/conv --outer-steps 100 --out meta
    """
    from submissions import environment
    from submissions.learned import weight_files
    from tuning.meta_training import schedules
    from tuning.meta_training.learner import Learner
    from tuning.meta_training.plan import Plan
    from tuning.meta_training.training import WEIGHTS, MetaTraining

    among = _distribution(distribution, slowdown, workload or [], family or [], data_dir)
    several, lengths = len(among.names) > 1, schedules.parse(length)
    asked = {
        "std": std, "window": unroll, "sign": 1.0 if sign else None, "loss": loss, "clip": clip_difference,
        "exact_resets": exact_resets,
    }  # fmt: skip
    made = _estimator(estimator, asked)
    windows = hasattr(made, "window")
    plan = Plan(
        optimizer, among, made, lengths, Learner(learning_rate, clip, accumulate), tasks=tasks,
        estimators=estimators or min(8, len(among.names)), per_step=per_step,
        resample_every=resample_every or (100 if several else None),
        offset=offset if offset is not None else lengths.longest if windows else 0,
        shared_batches=not own_batches, meta_loss=meta_loss, scaled=not raw_losses, sizes=_values(size or []),
        switches=parsed_switches(LEARNED[optimizer], switch or []) if optimizer in LEARNED else {}, seed=seed,
    )  # fmt: skip
    weights = begun = None
    if begin_with is not None:
        file = weight_files.read(begin_with)
        weights, begun = weight_files.for_optimizer(plan.learned, file, str(begin_with)), file.sha256
    environment.use_compilation_cache()
    stop = Stop()

    def say(said: str) -> None:
        typer.echo(said, err=True)

    with (
        interruptible(
            stop,
            waits_for=lambda: "",
            kept=f"{out} goes on from its last checkpoint, run the same command",
        ),
        progress_display() as progress,
        _workers(
            executor,
            workers,
            deadline,
            progress,
            asynchronous,
            staleness,
            folder=folder,
            device=device,
            address=address,
        ) as with_whom,
    ):
        training = MetaTraining(plan, out, weights, begun, with_whom, parts, say)
        before = training.outer_step
        rows = training.run(
            outer_steps, record_every, checkpoint_seconds, progress, stopped=stop.is_set, seconds=seconds,
            keep_weights_every=keep_weights_every,
        )  # fmt: skip
    if not rows:
        typer.echo(f"{out}: nothing to train, all {before} outer steps are there", err=True)
    last = dataclasses.asdict(rows[-1]) if rows else None
    if json:
        print_json(
            {
                "folder": str(out),
                "weights": str(out / WEIGHTS),
                "outer_steps": training.outer_step,
                "last": last,
            }
        )
        return
    if rows:
        row = rows[-1]
        typer.echo(
            f"{out / WEIGHTS}: {training.outer_step} outer steps, meta-loss {row.meta_loss:.6g}, "
            f"{row.inner_steps:,} inner steps, {row.inner_steps_per_second:,.0f} a second at the end"
        )


def _workers(
    executor: str | None,
    workers: int | None,
    deadline: float | None,
    display: Display,
    asynchronous: bool,
    staleness: int | None,
    **options: Any,
) -> AbstractContextManager[LearnersWorkers | None]:
    """Who makes estimates; None: this process.

    Raises:
      ValueError: an option that needs an executor, without one.
    """
    from tuning.meta_training.workers import Workers

    if executor is not None:
        how = who_trains(executor, workers, deadline, display, **options)
        how["watch"] = display.watch  # threads too: what is accepted is of interest
        return Workers(**how, asynchronous=asynchronous, staleness=staleness)
    given = {
        "workers": workers,
        "deadline": deadline,
        "asynchronous": asynchronous or None,
        "staleness": staleness,
    }
    for name, value in (given | options).items():
        if value is not None:
            raise ValueError(
                f"--{name} is of workers; give an --executor, such as processes, or leave it out"
            )
    return contextlib.nullcontext()


def _distribution(
    name: str | None, slowdown: float, workload: list[str], family: list[str], data_dir: Path | None
) -> Distribution:
    """What to train on.

    Raises:
      ValueError: a distribution, and workloads or families beside it.
    """
    from tuning.meta_training.distribution import listed
    from tuning.meta_training.parametric import Parametric

    if name is None:
        return listed(workload, family, data_dir)
    if workload or family:
        raise ValueError("--distribution draws its own tasks; leave out --workload and --family")
    return Parametric(name, slowdown, data_dir=None if data_dir is None else str(data_dir))


def _estimator(name: str, asked: dict[str, Any]) -> Estimator:
    """The estimator of a name, with what it has of the options.

    Raises:
      ValueError: there is none, or an option was given that it does not have.
    """
    from tuning.meta_training.estimators import ESTIMATORS
    from workloads.spelling import did_you_mean

    if name not in ESTIMATORS:
        raise ValueError(
            f"unknown estimator {name!r}{did_you_mean(name, ESTIMATORS)} (allowed: {', '.join(KINDS)})"
        )
    has = {field.name for field in dataclasses.fields(ESTIMATORS[name])}
    options = {
        "sign": "--sign",
        "loss": "--loss",
        "clip": "--clip-difference",
        "exact_resets": "--exact-resets",
    }
    for field, option in options.items():
        if asked[field] and field not in has:
            raise ValueError(f"{option} is not of {name}; leave it out")
    given = {field: value for field, value in asked.items() if field in has and value is not None}
    return ESTIMATORS[name](**given)


def _values(texts: list[str]) -> dict[str, Any]:
    """NAME=VALUE, the value as JSON where it is such."""
    import json

    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"{text!r}: give NAME=VALUE")
        try:
            found[name] = json.loads(value.lower() if value in ("True", "False") else value)
        except ValueError:
            found[name] = value
    return found
