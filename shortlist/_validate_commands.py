"""The commands that check what others wrote: validate, and validate-workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shortlist._names import OWN_OPTIMIZER, OWN_WORKLOAD, workload_names
from shortlist._output import echo, print_json, print_table
from shortlist._progress import progress_display

if TYPE_CHECKING:
    from submissions.validation import Validation
    from tuning.conformance import Check


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(validate)
    app.command()(validate_workload)


def validate(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Of the submission; or the path of its submission.py.")
    ],
    ruleset: Annotated[
        Literal["external", "self-tuning"] | None,
        typer.Option(help="Default: external if there is a tuning_search_space.json."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run/--no-dry-run", help="Train a few steps; without, no code of it is executed."),
    ] = True,
    workload: Annotated[
        list[str] | None,
        typer.Option(
            metavar=OWN_WORKLOAD,
            autocompletion=workload_names,
            help="Of the dry run; repeat for more. Default: five small ones.",
        ),
    ] = None,
    steps: Annotated[
        int, typer.Option(metavar="N", min=4, help="Of each of the two runs on a workload.")
    ] = 8,
    time_limit: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1, help="Of the whole dry run; what is left is killed."),
    ] = 900,
    isolation: Annotated[
        Literal["auto", "require", "off", "bubblewrap", "namespaces"],
        typer.Option(
            help="Dry run in a sandbox: where there is one, or not at all without, or never, or in this."
        ),
    ] = "auto",
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check an AlgoPerf submission: files, functions, search space, rules of the benchmark, a dry run.

    Exit status 1 if there are errors or the dry run did not end; warnings alone leave it 0.
    docs/validate.md lists all codes.

    Example: shortlist validate nadamw_list --ruleset external
    """
    from submissions import validation

    checked = validation.inspect(
        folder,
        ruleset=ruleset,
        dry_run=dry_run,
        workloads=workload or validation.WORKLOADS,
        steps=steps,
        seconds=time_limit,
        isolation=isolation,
    )
    if json:
        print_json(checked.to_json())
    else:
        _print(checked)
    if not checked.passed:
        raise typer.Exit(1)


def validate_workload(
    names: Annotated[
        list[str],
        typer.Argument(metavar=f"{OWN_WORKLOAD}...", help="To check.", autocompletion=workload_names),
    ],
    points: Annotated[
        str,
        typer.Option("--list", metavar="NAME|FILE", help="Points of which one should learn something."),
    ] = "medapati2025",
    optimizer: Annotated[
        str | None, typer.Option(metavar=OWN_OPTIMIZER, help="Default: that of the list.")
    ] = None,
    check: Annotated[
        list[str] | None, typer.Option(metavar="CHECK", help="Only this; repeat for more. Default: all.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Of the training that should learn; default the step hint."),
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of everything random.")] = 0,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="DIR", help="Folder with real data sets.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Check a workload: shapes, determinism, masks, gradients, measures that add up, one program, something to learn.

    Exit status 1 if a check fails. docs/own_workload.md lists the checks.

    Example: shortlist validate-workload my_workloads.py:mine/spirals
    """
    import workloads
    from shortlist._lists import read_points
    from tuning import conformance

    given = read_points(points)
    rule = optimizer or given.update_rule
    if rule is None:
        raise ValueError(f"{points} does not say which optimizer its points are for; add --optimizer")
    found = {}
    with progress_display() as progress:
        for name in names:
            workload = workloads.load(workloads.recorded_name(name), data_dir)
            found[workload.name] = conformance.inspect(
                workload,
                given.points,
                rule,
                checks=check or conformance.CHECKS,
                steps=steps,
                seed=seed,
                progress=progress,
            )
    failed = sum(check.outcome == "failed" for checks in found.values() for check in checks)
    if json:
        rows = {name: [check.to_json() for check in checks] for name, checks in found.items()}
        print_json({"list": given.name, "optimizer": rule, "passed": not failed, "workloads": rows})
    else:
        for name, checks in found.items():
            _print_checks(name, checks)
    if failed:
        raise typer.Exit(1)


def _print_checks(name: str, checks: list[Check]) -> None:
    print_table(
        name, ("check", "", "found"), [(check.name, check.outcome, check.message) for check in checks]
    )
    for check in checks:
        if check.outcome == "failed":
            echo(f"{check.name} should hold: {check.means}")


def _print(checked: Validation) -> None:
    for finding in checked.findings:
        where = " on ".join(filter(None, [finding.place, finding.workload]))
        echo(f"{finding.severity} {finding.code}: {': '.join(filter(None, [where, finding.message]))}")
        echo(f"    {finding.remedy}")
    if checked.figures:
        rows = [
            (
                one.workload,
                one.first_step_seconds,
                one.step_seconds * 1e3,
                one.adam_step_seconds * 1e3,
                one.ratio,
            )
            for one in checked.figures
        ]
        columns = ("workload", "first step, s", "step, ms", "plain Adam, ms", "ratio")
        print_table("\nDry run: the fastest step, beside plain Adam's", columns, rows)
    elif checked.not_run:
        echo(f"no dry run: {checked.not_run}")
    if checked.isolation:
        echo(f"isolated: {'yes' if checked.isolation.isolated else 'no'} ({checked.isolation.how})")
    if not checked.finished:
        echo("not passed: the dry run did not come to its end")
    errors = sum(finding.severity == "error" for finding in checked.findings)
    warnings = len(checked.findings) - errors
    echo(f"{checked.folder} ({checked.ruleset}): {errors} errors, {warnings} warnings")
