"""The command that checks a submission: validate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from shortlist._names import OWN_WORKLOAD, workload_names
from shortlist._output import echo, print_json, print_table

if TYPE_CHECKING:
    from submissions.validation import Validation


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command()(validate)


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
