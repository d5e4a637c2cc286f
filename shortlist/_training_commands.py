"""Commands that train: tune, set-targets, demo."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shortlist._arithmetic import DevicesPerTrial, MicroBatches, Precision
from shortlist._executor_options import (
    Address,
    Deadline,
    Device,
    ExecutorName,
    Folder,
    InLineOrExecutorName,
    Workers,
    who_trains,
)
from shortlist._interrupt import interruptible
from shortlist._lists import read_points, read_warm_start
from shortlist._names import (
    OPTIMIZER_NAMES,
    OWN_OPTIMIZER,
    OWN_WORKLOAD,
    STRATEGY_NAMES,
    Switches,
    Weights,
    optimizer_names,
    strategy_names,
    weighted,
    workload_names,
)
from shortlist._output import print_json, print_table
from shortlist._pace import Pace, tell_pace
from shortlist._progress import progress_display
from shortlist._strategy_options import with_strategy_options
from tuning.execution.stopping import Stop
from tuning.protocols import MEDAPATI
from tuning.strategies import DEFAULT as DEFAULT_STRATEGY

if TYPE_CHECKING:
    from results.studies import Run

Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Real data sets; embedded ones otherwise.")
]
Seed = Annotated[int, typer.Option(metavar="N", min=0, help="Determines every number of the study.")]
DEMO = MEDAPATI.scales["demo"]
KEPT = "finished cohorts are kept, run the same command to go on"
RUN_COSTS = ("trials", "seconds", "compilations", "compile_seconds", "suggestion_cpu_seconds")


def add_to(app: typer.Typer) -> None:
    """Adds the commands of this module."""
    app.command(epilog=f"{STRATEGY_NAMES}\n\n{OPTIMIZER_NAMES}")(tune)
    for command in (set_targets, demo):
        app.command()(command)


@with_strategy_options
def tune(
    workloads: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKLOAD...",
            help=f"What to train, each as {OWN_WORKLOAD}.",
            autocompletion=workload_names,
        ),
    ],
    study: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the study; resumed if it is there.")],
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Where points come from, see below; default: list with --list, taskset-grid with --grid, else "
            f"{DEFAULT_STRATEGY}.",
            autocompletion=strategy_names,
        ),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="Points, or full trainings' worth of steps where a strategy stops trials; default: all of a list, 5 "
            "of a sweep, 5 trainings, 1 of a learned optimizer, else 20.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="taskset: 10,000 steps, evaluated at the start and every 200 on 50 batches, 5 repeats. "
            "velodrome: every 10 steps on 5. Other options replace its parts.",
        ),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Trainings of every point; default: 1.")
    ] = None,
    seed: Seed = 0,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar=OWN_OPTIMIZER,
            help="Update rule, see below, or one of your own; default: the list's, grid's or warm start's, else "
            "nadamw_optax.",
            autocompletion=optimizer_names,
        ),
    ] = None,
    weights: Weights = None,
    switch: Switches = None,
    steps: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Steps; default: the step hint.")
    ] = None,
    eval_period: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Steps between evaluations; default: the workload's."),
    ] = None,
    eval_batches: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Evaluate on N fresh batches per split; default: on all of it."
        ),
    ] = None,
    eval_at_start: Annotated[
        bool | None,
        typer.Option("--eval-at-start/--no-eval-at-start", help="Evaluate before the first step too."),
    ] = None,
    cohort_size: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            help="At most so many trials in one cohort; default: what serves each workload best. Where a strategy "
            "stops trials, those that begin together; default: 9 (eta squared) of successive-halving, else 8.",
        ),
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="N", min=1, hidden=True, help="Former name of --cohort-size.")
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            help="Have a Vizier service suggest, for several workers; 'shortlist vizier-service' starts one.",
        ),
    ] = None,
    executor: ExecutorName = "threads",
    workers: Workers = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
    own_batches: Annotated[
        bool, typer.Option("--own-batches", help="Every trial draws its own batches; slower, independent.")
    ] = False,
    seeding: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="hashed, or algoperf: initial parameters and batches are those of 'shortlist run' with this seed; "
            "needs --own-batches.",
        ),
    ] = "hashed",
    data_dir: DataDir = None,
    precision: Precision = "float32",
    micro_batches: MicroBatches = 1,
    devices_per_trial: DevicesPerTrial = 1,
    pace: Pace = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Train many points on one or many workloads. Run it again to train what is missing.

    Example: shortlist tune digits/conv clicks/mlp --strategy quasirandom --budget 40 --study studies/first
    """
    stop = Stop()
    with interruptible(stop, waits_for=stop.waits_for, kept=KEPT):
        from results import studies
        from tuning.studies.plan import plan
        from tuning.studies.tune import tune as run

        if options["points"] is not None:
            given = read_points(options["points"])
            options |= {"points": given.points, "list_name": given.name}
            optimizer = given.update_rule if optimizer is None else optimizer
        if options["warm_start"] is not None:
            options["warm_start"] = read_warm_start(options["warm_start"])
        optimizer = weighted(optimizer, weights, switch)
        tell_pace(workloads, data_dir, pace)
        spec = plan(
            name=study.resolve().name, workloads=tuple(workloads), strategy=strategy, budget=budget,
            protocol=protocol, repeats=repeats, eval_period=eval_period, eval_batches=eval_batches,
            eval_at_start=eval_at_start, seed=seed, optimizer=optimizer, steps=steps,
            cohort_size=cohort_size or width, shared_batches=not own_batches, seeding=seeding,
            precision=precision, micro_batches=micro_batches, devices_per_trial=devices_per_trial, **options,
        )  # fmt: skip
        use_compilation_cache()
        before = len(studies.read_runs(study))
        with progress_display() as progress:
            trials = run(
                study,
                spec,
                data_dir=data_dir,
                progress=progress,
                stop=stop,
                service=service,
                **who_trains(
                    executor, workers, deadline, progress, folder=folder, device=device, address=address
                ),
            )
    runs = studies.read_runs(study)
    if len(runs) == before:
        typer.echo(f"{study}: nothing to train, all {len(trials)} trials are there", err=True)
    _print_trials(study, trials, runs, json)


def set_targets(
    workloads: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKLOAD...",
            help=f"Whose targets to set, each as {OWN_WORKLOAD}.",
            autocompletion=workload_names,
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Targets file to add to.")],
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="adamw, nadamw, nesterov or heavy_ball; repeat for more. Default: all four, as AlgoPerf's targets.",
        ),
    ] = None,
    points: Annotated[int, typer.Option(metavar="N", min=1, help="Of each reference optimizer.")] = 100,
    first: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=0,
            help="First row of the quasi-random points; a study's own, 0 to 199, stay out.",
        ),
    ] = 200,
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Trainings of the best point.")] = 19,
    part_of_budget: Annotated[
        float, typer.Option(metavar="X", help="Evaluations that count, in (0, 1].")
    ] = 0.5,
    seed: Seed = 0,
    data_dir: DataDir = None,
    executor: InLineOrExecutorName = "inline",
    workers: Workers = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
) -> None:
    """Set validation targets: tune a reference set of four optimizers, retrain the best point, take the median.

    What is trained is kept in FILE.trials until all targets are set: run it again to train what is missing.

    Example: shortlist set-targets digits/conv --out workloads/targets.json
    """
    import sys

    from tuning import targets

    targets.check_targets(out)  # before anything is trained for it
    use_compilation_cache()
    tuned = targets.reference_points(reference or tuple(targets.references()), points, first)
    asked = targets.Asked(tuned, seeds, part_of_budget, seed)
    made_by = "shortlist " + " ".join(sys.argv[1:])
    found: dict[str, targets.MeasuredTarget] = {}

    def tell(name: str, target: targets.MeasuredTarget) -> None:
        found[name] = target
        typer.echo(
            f"{name}: {target.metric} {target.validation_target:.6g} "
            f"({target.best_reference}, point {target.best_point})"
        )

    stop = Stop()
    with interruptible(stop, waits_for=stop.waits_for, kept=KEPT), progress_display() as progress:
        try:
            targets.set_targets(
                workloads, asked, out.with_name(f"{out.name}.trials"),
                data_dir=data_dir, progress=progress, found=tell, stop=stop,
                **who_trains(executor, workers, deadline, progress, folder=folder, device=device, address=address),
            )  # fmt: skip
        finally:
            # Not one by one: in a checkout that is a part of its source, which all workers are to have alike.
            if found:
                targets.write_targets(out, found, made_by)


def demo(
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Studies and report; resumed if it is there.")
    ] = Path("demo"),
    candidates: Annotated[
        int, typer.Option(metavar="N", min=2, help="Quasi-random points per workload.")
    ] = DEMO.candidates,
    repeats: Annotated[
        int, typer.Option(metavar="N", min=1, help="Trainings per point of lists and baselines.")
    ] = DEMO.repeats,
    size: Annotated[int, typer.Option(metavar="N", min=1, help="Points in a list.")] = DEMO.size,
    seed: Seed = 0,
    vizier: Annotated[
        bool, typer.Option("--vizier", help="Vizier too: many seconds per suggestion.")
    ] = False,
    executor: ExecutorName = "threads",
    workers: Workers = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
) -> None:
    """Tune six workloads, build a list, prove it on workloads it has not seen, and write the report.

    Example: shortlist demo --out demo
    """
    from shortlist.demo import demo as run

    use_compilation_cache()
    stop = Stop()
    with interruptible(stop, waits_for=stop.waits_for, kept=KEPT), progress_display() as progress:
        page = run(
            out,
            candidates=candidates,
            repeats=repeats,
            size=size,
            seed=seed,
            vizier=vizier,
            progress=progress,
            stop=stop,
            who=who_trains(
                executor, workers, deadline, progress, folder=folder, device=device, address=address
            ),
        )
    typer.echo(f"report: {page}")


def use_compilation_cache() -> None:
    """Keeps compiled programs between processes."""
    from submissions import environment

    environment.use_compilation_cache()


def _print_trials(study: Path, trials, runs: Sequence[Run], json: bool) -> None:
    rows = best_points(trials)
    if json:
        costs = [{key: getattr(run, key) for key in RUN_COSTS} for run in runs]
        print_json({"study": str(study), "trials": len(trials), "runs": costs, "workloads": rows})
        return
    columns = [name for name in rows[0] if name != "data"]
    print_table(f"{study}: {len(trials)} trials", columns, [[row[name] for name in columns] for row in rows])
    for row in rows:
        typer.echo(f"data of {row['workload']}: {row['data']}")
    if runs:
        last = runs[-1]
        typer.echo(
            f"last run: {last.trials} trials in {last.seconds:.1f} s; programs compiled: {last.compilations}, "
            f"in {last.compile_seconds:.1f} s"
        )
        if each := last.suggestion_cpu_seconds:
            typer.echo(f"suggestions: {len(each)}, {sum(each) / len(each):.2g} CPU seconds each")
    typer.echo(f"\nnext: shortlist report {shlex.quote(str(study))} --out {shlex.quote(f'{study}-report')}")


def _trainings(trials) -> float | None:
    """Full trainings' worth of steps that trials took; None where older ones do not say how long one is."""
    import polars as pl

    if "steps" not in trials.columns:
        return None
    return trials.select((pl.col("global_step").list.last() / pl.col("steps")).sum()).item()


def best_points(trials) -> list[dict[str, object]]:
    """Per workload: its best point, what it reached, and how many trials reached the target, diverged or were stopped.

    Of a stopped trial counts what it reached until then. `trainings` are full trainings' worth of steps.
    """
    import polars as pl

    from results import best_value, reached

    rows = []
    for (name,), part in trials.group_by("workload", maintain_order=True):
        metric, minimize = part["metric"][0], part["minimize"][0]
        target = part["validation_target"][0]
        best = part.with_columns(best=best_value(f"validation/{metric}", minimize))
        ranked = best.filter(pl.col("status").is_in(["done", "stopped"])).sort(
            "best", descending=not minimize, nulls_last=True
        )
        rows.append(
            {
                "workload": name,
                "metric": metric,
                "target": target,
                "trials": len(part),
                "reached": None if target is None else best.filter(reached("best", target, minimize)).height,
                "diverged": part.filter(pl.col("status") == "diverged").height,
                "stopped": part.filter(pl.col("status") == "stopped").height,
                "trainings": _trainings(part),
                "best": ranked["best"][0] if len(ranked) else None,
                "best_point": ranked["point"][0] if len(ranked) else None,
                "data": part["data"][0],
            }
        )
    return rows
