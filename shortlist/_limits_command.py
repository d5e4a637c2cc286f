"""The command that says where a learned optimizer fails: limits."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shortlist._executor_options import Address, Deadline, Device, ExecutorName, Folder, Workers, who_trains
from shortlist._interrupt import interruptible
from shortlist._names import OWN_WORKLOAD, Switches, Weights, optimizer_names, weighted, workload_names
from shortlist._output import echo, print_json, print_table
from shortlist._progress import progress_display
from shortlist._training_commands import KEPT, DataDir, Json, Seed, use_compilation_cache
from tuning.execution.stopping import Stop

if TYPE_CHECKING:
    from tuning.protocols.limits import Contender, LimitsScale

AGAINST = ("adam_velodrome", "medapati2025")


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    # In words of its own: `results.limits`, which has the parts, takes too long to load for a page of help.
    app.command(
        epilog="Parts: longer, trained for longer; larger, on larger models; batch, by batch size; gradients, on "
        "estimated ones."
    )(limits)


def limits(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Studies and report; resumed if it is there.")],
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|NAME@FILE",
            help="A learned optimizer, with its file of weights or with --weights.",
            autocompletion=optimizer_names,
        ),
    ] = None,
    weights: Weights = None,
    switch: Switches = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIST|OPTIMIZER",
            help="Held against: a list, published or a file; an optimizer, tuned by its learning rate; another learned "
            f"one, NAME@FILE. Repeat for more; default: {' and '.join(AGAINST)}.",
        ),
    ] = None,
    part: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this part, see below; repeat for more, another time too."),
    ] = None,
    scale: Annotated[str, typer.Option(metavar="NAME", help="How large: mini or full.")] = "mini",
    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar=OWN_WORKLOAD,
            help="In the place of the scale's, of all parts but 'larger'; repeat for more.",
            autocompletion=workload_names,
        ),
    ] = None,
    ladder: Annotated[
        list[str] | None,
        typer.Option(
            metavar=OWN_WORKLOAD,
            help="Likewise of 'larger', from small to large, such as velo/image_mlp_seed109@hidden=512.",
            autocompletion=workload_names,
        ),
    ] = None,
    batch_size: Annotated[
        list[int] | None, typer.Option(metavar="N", min=1, help="Of 'batch', likewise; repeat for more.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Of a training; all lengths follow it.")
    ] = None,
    repeats: Annotated[int | None, typer.Option(metavar="N", min=1, help="Of every point.")] = None,
    trained_on: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="The longest training that made the weights, which 'longer' tells it as well; default: that of "
            "the meta-training whose folder they are in.",
        ),
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(
            metavar="LOSS",
            help="Training loss of 'batch'; default: one that all reach at the middle batch size.",
        ),
    ] = None,
    seed: Seed = 0,
    data_dir: DataDir = None,
    executor: ExecutorName = "threads",
    workers: Workers = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
    json: Json = False,
) -> None:
    """Say where a learned optimizer fails: longer trainings, larger models, batch sizes, estimated gradients.

    Example: shortlist limits --weights celo.theta.state --against medapati2025 --out limits
    """
    from reports import limits as room
    from reports.page import write_report
    from results.limits import PARTS
    from submissions.learned import is_learned_form
    from submissions.learned import parts as parts_of
    from tuning.meta_training.schedules import longest_of
    from tuning.protocols.run_limits import run_limits

    asked = _asked(scale, workload, ladder, batch_size, steps, repeats)
    contenders = _contenders(weighted(optimizer, weights, switch), against or AGAINST, asked)
    if trained_on is None and is_learned_form(contenders[0].optimizer):
        trained_on = longest_of(parts_of(contenders[0].optimizer).file)
    use_compilation_cache()
    stop = Stop()
    with interruptible(stop, waits_for=stop.waits_for, kept=KEPT), progress_display() as progress:
        run_limits(
            contenders, asked, out, parts=tuple(part or PARTS), trained_on=trained_on, target=target, seed=seed,
            data_dir=data_dir, progress=progress, stop=stop,
            who=who_trains(
                executor, workers, deadline, progress, folder=folder, device=device, address=address
            ),
        )  # fmt: skip
    found = room.limits(out)
    page = write_report(room.limits_report(found), out / "report", overwrite=True)
    if json:
        print_json(found.to_json() | {"report": str(page)})
        return
    for title, table in (
        ("training losses by what is told", found.longer),
        ("training losses on larger models", found.larger),
        (f"steps to a training loss of {found.target or 0:.4g}", found.batch),
        ("training losses on estimated gradients, by pairs; 0: the true gradient", found.gradients),
    ):
        if len(table):
            print_table(title, table.columns, table.iter_rows())
    for name, one in found.critical.items():
        echo(f"critical batch size of {name}: {one.size:.4g}")
    echo(f"report: {page}")


def _asked(
    name: str,
    workload: list[str] | None,
    ladder: list[str] | None,
    batch_sizes: list[int] | None,
    steps: int | None,
    repeats: int | None,
) -> LimitsScale:
    """The scale with what was asked for in its place."""
    import workloads
    from tuning.protocols.limits import SCALES, resized, with_workloads
    from workloads.spelling import did_you_mean

    if name not in SCALES:
        raise ValueError(f"no scale {name!r}{did_you_mean(name, SCALES)} (there is: {', '.join(SCALES)})")
    scale = SCALES[name]
    if workload:
        scale = with_workloads(scale, [workloads.recorded_name(one) for one in workload])
    if ladder:
        scale = dataclasses.replace(scale, ladder=tuple(map(workloads.recorded_name, ladder)))
    if batch_sizes:
        scale = dataclasses.replace(scale, batch_sizes=tuple(sorted(set(batch_sizes))))
    if repeats:
        scale = dataclasses.replace(scale, repeats=repeats)
    return resized(scale, steps) if steps else scale


def _contenders(
    optimizer: str | None, against: list[str] | tuple[str, ...], scale: LimitsScale
) -> list[Contender]:
    """The learned optimizer, and what it is held against.

    Raises:
      ValueError: no optimizer; or one that is neither a list nor an optimizer with a learning rate.
    """
    import lists
    import submissions
    from shortlist._lists import read_points
    from submissions.learned import is_learned_form
    from submissions.points import Point
    from tuning.protocols.limits import Contender
    from tuning.strategies.rate_grid import rates

    if optimizer is None:
        raise ValueError("no learned optimizer is given; give --weights FILE, or --optimizer NAME@FILE")
    submissions.optimizer(optimizer)
    made = [Contender(optimizer.partition("@")[0], optimizer)]  # with its switches
    for name in against:
        if is_learned_form(name):
            made.append(Contender(name.partition("@")[0], name))
        elif name in lists.PUBLISHED or name.endswith(".json"):
            read = read_points(name)
            if read.update_rule is None:
                raise ValueError(
                    f"{name}: does not say which optimizer it is a list of; give a list file that does"
                )
            made.append(Contender(read.name, read.update_rule, tuple(read.points[: scale.points])))
        else:
            rule = submissions.optimizer(name)
            if "learning_rate" not in {one.name for one in rule.hyperparameters}:
                raise ValueError(f"{name} has no learning rate to tune; give a list of its points")
            grid = tuple(Point(f"{rate:g}", {"learning_rate": rate}) for rate in rates(*scale.rates))
            made.append(Contender(rule.name, name, grid))
    return made
