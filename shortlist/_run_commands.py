"""The command that runs a submission by AlgoPerf's rules: run."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from shortlist._arithmetic import MicroBatches, Precision
from shortlist._executor_options import (
    Address,
    Deadline,
    Device,
    Folder,
    InLineOrExecutorName,
    Workers,
    who_trains,
)
from shortlist._interrupt import interruptible
from shortlist._names import (
    OPTIMIZER_NAMES,
    OWN_OPTIMIZER,
    OWN_WORKLOAD,
    Switches,
    Weights,
    optimizer_names,
    weighted,
    workload_names,
)
from shortlist._output import print_json, print_table
from shortlist._pace import Pace, tell_pace
from shortlist._progress import progress_display
from shortlist._several_hosts import Coordinator, Processes, ProcessId, Silence, member_of

SWITCHES = (
    "overwrite", "resume", "resume-last-run", "save-checkpoints", "save-intermediate-checkpoints", "skip-evals",
    "append-timestamp", "torch-compile", "use-wandb", "profile", "capture-jax-trace", "set-pytorch-max-split-size",
)  # fmt: skip
TRUTH = {"true": True, "t": True, "1": True, "yes": True, "false": False, "f": False, "0": False, "no": False}


class AlgoPerfFlags(TyperCommand):
    """A command that takes flags as AlgoPerf's runner does, underscores and all."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Respells flags, then parses them."""
        return super().parse_args(ctx, [respelled(argument) for argument in args])


def respelled(argument: str) -> str:
    """A flag as the command line spells it; anything else as it is.

    Example:
      >>> [respelled(flag) for flag in ("--rng_seed=1", "--nosave_checkpoints", "--skip_evals=true", "a_b")]
      ['--rng-seed=1', '--no-save-checkpoints', '--skip-evals', 'a_b']
    """
    if not argument.startswith("--") or argument == "--":
        return argument
    name, equals, value = argument[2:].partition("=")
    name = name.replace("_", "-")
    said = True
    if name not in SWITCHES:
        plain = name.removeprefix("no-") if name.startswith("no-") else name.removeprefix("no")
        if plain == name or plain not in SWITCHES:
            return f"--{name}{equals}{value}"
        name, said = plain, False
    if equals:
        if value.lower() not in TRUTH:
            raise ValueError(f"{argument}: must be true or false")
        said = said == TRUTH[value.lower()]
    return f"--{name}" if said else f"--no-{name}"


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command(cls=AlgoPerfFlags, epilog=OPTIMIZER_NAMES)(run)


Ignored = Annotated[str | None, typer.Option(hidden=True)]
IgnoredSwitch = Annotated[bool | None, typer.Option(hidden=True)]


def run(
    workload: Annotated[
        str,
        typer.Option(
            metavar=OWN_WORKLOAD,
            help="As 'shortlist workloads' lists it, or algoperf-installed/NAME for a real AlgoPerf's, or one of your "
            "own.",
            autocompletion=workload_names,
        ),
    ],
    experiment_dir: Annotated[Path, typer.Option(metavar="DIR", help="Where logs go.")],
    experiment_name: Annotated[
        str, typer.Option(metavar="NAME", help="Folder in it; for scoring, such as my_submission/study_0.")
    ],
    submission_path: Annotated[
        Path | None, typer.Option(metavar="FILE|DIR", help="The submission, or its folder.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar=OWN_OPTIMIZER,
            help="Instead of a submission: package this optimizer in the experiment's folder, and run that.",
            autocompletion=optimizer_names,
        ),
    ] = None,
    weights: Weights = None,
    switch: Switches = None,
    tuning_ruleset: Annotated[
        Literal["external", "self-tuning", "self"],
        typer.Option(
            help="self-tuning, or self as AlgoPerf spells it: without hyperparameters, 1.5 times the runtime."
        ),
    ] = "external",
    tuning_search_space: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="JSON: a list of points, or ranges; default: the one beside the submission."
        ),
    ] = None,
    num_tuning_trials: Annotated[int, typer.Option(metavar="N", min=1, help="Trials of the study.")] = 1,
    hparam_start_index: Annotated[
        int | None, typer.Option(metavar="I", help="First trial of this machine's slice, from 0.")
    ] = None,
    hparam_end_index: Annotated[
        int | None, typer.Option(metavar="J", help="End of the slice, left out.")
    ] = None,
    rng_seed: Annotated[
        int | None, typer.Option(metavar="SEED", help="Of the study; default: drawn, and written down.")
    ] = None,
    max_global_steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Default: the clock decides, or the step hint where there is none."
        ),
    ] = None,
    eval_period_steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Evaluate every N steps; default: as the workload says."),
    ] = None,
    stop_at_targets: Annotated[
        bool, typer.Option("--stop-at-targets/--go-on", help="End a trial at its targets, as AlgoPerf does.")
    ] = True,
    data_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Real data; default: embedded or synthetic ones.")
    ] = None,
    imagenet_v2_data_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="As in AlgoPerf, for an installed one's workloads; others read below --data-dir.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite/--no-overwrite", help="Delete what lies in the trials' folders.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume/--no-resume",
            "--resume-last-run/--no-resume-last-run",
            help="Go on from the last checkpoints.",
        ),
    ] = False,
    save_checkpoints: Annotated[
        bool,
        typer.Option(
            "--save-checkpoints/--no-save-checkpoints",
            help="After every evaluation.",
        ),
    ] = True,
    save_intermediate_checkpoints: Annotated[
        bool,
        typer.Option(
            "--save-intermediate-checkpoints/--no-save-intermediate-checkpoints",
            help="Keep all of them, not only the last.",
        ),
    ] = False,
    skip_evals: Annotated[bool, typer.Option("--skip-evals/--no-skip-evals", help="Never evaluate.")] = False,
    executor: InLineOrExecutorName = "inline",
    workers: Workers = None,
    folder: Folder = None,
    device: Device = None,
    address: Address = None,
    deadline: Deadline = None,
    framework: Annotated[Literal["jax", "pytorch"], typer.Option(help="Only jax can be run.")] = "jax",
    precision: Precision = "float32",
    micro_batches: MicroBatches = 1,
    pace: Pace = None,
    coordinator: Coordinator = None,
    process_id: ProcessId = None,
    processes: Processes = None,
    silence: Silence = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    append_timestamp: IgnoredSwitch = None,
    torch_compile: IgnoredSwitch = None,
    use_wandb: IgnoredSwitch = None,
    profile: IgnoredSwitch = None,
    capture_jax_trace: IgnoredSwitch = None,
    set_pytorch_max_split_size: IgnoredSwitch = None,
    pytorch_eval_num_workers: Ignored = None,
    librispeech_tokenizer_vocab_path: Ignored = None,
) -> None:
    """Run an AlgoPerf submission on a workload, by AlgoPerf's rules, with AlgoPerf's flags and logs.

    Exit status 1 if a trial crashed; the others ran all the same.

    Example: shortlist run --submission-path nadamw_list --tuning-search-space nadamw_list/tuning_search_space.json
    --workload algoperf/mnist --experiment-dir experiments --experiment-name nadamw_list/study_0 --rng-seed 0
    """
    from tuning.execution import team
    from tuning.execution.stopping import Stop
    from tuning.execution.trials.follow import follow
    from tuning.execution.trials.run import run as run_trials
    from workloads import recorded_name

    if framework != "jax":
        raise ValueError("--framework pytorch: only JAX submissions run here; use AlgoPerf's own runner")
    without_effect = {
        "append_timestamp": append_timestamp, "torch_compile": torch_compile, "use_wandb": use_wandb,
        "profile": profile, "capture_jax_trace": capture_jax_trace,
        "set_pytorch_max_split_size": set_pytorch_max_split_size,
        "pytorch_eval_num_workers": pytorch_eval_num_workers,
        "librispeech_tokenizer_vocab_path": librispeech_tokenizer_vocab_path,
    }  # fmt: skip
    for name, value in without_effect.items():
        if value is not None and value is not False:
            typer.echo(f"--{name}: has no effect here", err=True)
    if weights is not None and submission_path is not None:
        raise ValueError("--weights goes with --optimizer; a submission brings its own")
    optimizer = weighted(optimizer, weights, switch)
    if (submission_path is None) == (optimizer is None):
        raise ValueError("give either --submission-path or --optimizer")
    member = member_of(coordinator, process_id, processes, silence)
    if member is None:
        tell_pace([workload], data_dir, pace)
    elif pace:
        raise ValueError("--pace measures one host; leave it out")
    stop = Stop()

    def say(what: str) -> None:
        typer.echo(f"shortlist: {what}", err=True)

    kept = "what was saved is kept, the same command with --resume goes on"
    with (
        interruptible(stop, waits_for=stop.waits_for, kept=kept),
        progress_display() as progress,
        contextlib.ExitStack() as held,
    ):
        name = recorded_name(workload)
        if member is not None and member.index:
            follow(
                member,
                workload=workload,
                submission_path=submission_path,
                optimizer=optimizer,
                data_dir=data_dir,
                imagenet_v2_data_dir=imagenet_v2_data_dir,
                stop=stop,
            )
            say(f"{name}: all trials have ended; process 0 has written them down")
            if json:
                print_json({"workload": name, "trials": []})
            return
        several = None if member is None else held.enter_context(team.leading(member, name, say, stop.is_set))
        outcomes = run_trials(
            submission_path=submission_path,
            optimizer=optimizer,
            workload=workload,
            experiment_dir=experiment_dir,
            experiment_name=experiment_name,
            tuning_ruleset=tuning_ruleset,
            tuning_search_space=tuning_search_space,
            num_tuning_trials=num_tuning_trials,
            hparam_start_index=hparam_start_index,
            hparam_end_index=hparam_end_index,
            rng_seed=rng_seed,
            max_global_steps=max_global_steps,
            eval_period_steps=eval_period_steps,
            stop_at_targets=stop_at_targets,
            data_dir=data_dir,
            imagenet_v2_data_dir=imagenet_v2_data_dir,
            overwrite=overwrite,
            resume=resume,
            save_checkpoints=save_checkpoints,
            save_intermediate_checkpoints=save_intermediate_checkpoints,
            skip_evals=skip_evals,
            precision=precision,
            micro_batches=micro_batches,
            **who_trains(
                executor, workers, deadline, progress, folder=folder, device=device, address=address
            ),
            progress=progress,
            say=say,
            stop=stop,
            several=several,
        )
    workload = recorded_name(workload)
    if json:
        import dataclasses

        print_json({"workload": workload, "trials": [dataclasses.asdict(one) for one in outcomes]})
    else:
        columns = ("trial", "status", "steps", "seconds", "target", "validation", "why it ended")
        rows = [
            (
                one.trial,
                one.status,
                one.global_step,
                one.score,
                "reached" if one.reached else "–",
                _validation(one),
                one.reason,
            )
            for one in outcomes
        ]
        print_table(f"{workload}: {outcomes[0].folder.rpartition('/')[0]}", columns, rows)
    if any(one.status == "crashed" for one in outcomes):
        raise typer.Exit(1)


def _validation(outcome) -> str:
    found = {k.partition("/")[2]: v for k, v in outcome.metrics.items() if k.startswith("validation/")}
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())
