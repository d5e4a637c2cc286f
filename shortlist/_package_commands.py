"""The command that writes AlgoPerf submissions: package."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from shortlist._names import OPTIMIZER_NAMES, OWN_OPTIMIZER, Switches, Weights, optimizer_names, weighted


def add_to(app: typer.Typer) -> None:
    """Adds the command of this module."""
    app.command(epilog=OPTIMIZER_NAMES)(package)


def package(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the submission; must be new or empty.")],
    list_: Annotated[
        str | None,
        typer.Option(
            "--list", metavar="NAME|FILE", help="A published list, one of yours, or AlgoPerf's JSON."
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            metavar=OWN_OPTIMIZER,
            help="Update rule; default: the one the list was made with. Without --list: its ranges are searched.",
            autocompletion=optimizer_names,
        ),
    ] = None,
    weights: Weights = None,
    switch: Switches = None,
    space: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="tuning_search_space.json; default: the optimizer's own space."),
    ] = None,
    built_in: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|all", help="A ready-made one, such as lion; 'all': one folder each in DIR."
        ),
    ] = None,
    ruleset: Annotated[
        Literal["external", "self-tuning"] | None,
        typer.Option(
            help="self-tuning takes the first point of --list, and is the default of learned optimizers; else external."
        ),
    ] = None,
    authors: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Separated by commas; AlgoPerf insists on them."),
    ] = None,
    affiliations: Annotated[str, typer.Option(metavar="TEXT", help="Separated by commas.")] = "",
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="For the leaderboard; default: the list's or optimizer's."),
    ] = None,
    description: Annotated[
        str | None, typer.Option(metavar="TEXT", help="One sentence for the leaderboard.")
    ] = None,
    version: Annotated[str, typer.Option(metavar="TEXT", help="Of the submission.")] = "1.0",
    evidence: Annotated[
        str, typer.Option(metavar="TEXT", help="For the pull request: why it should be fast, with links.")
    ] = "",
    size: Annotated[
        int, typer.Option(metavar="K", min=1, help="The first K points; AlgoPerf runs 5 trials.")
    ] = 5,
) -> None:
    """Turn an optimizer with a list or ranges into an AlgoPerf submission folder that needs nothing of ours.

    Example: shortlist package --list medapati2025 --out nadamw_list --authors "A. Author"
    """
    import submissions
    from submissions.package import package as build
    from submissions.package import without_validation

    about: dict[str, Any] = {"affiliations": affiliations, "version": version, "evidence": evidence}
    if description is not None:
        about["description"] = description
    if built_in is not None:
        if list_ or optimizer or weights or switch or space or ruleset:
            raise ValueError(
                "--built-in goes without --list, --optimizer, --weights, --switch, --space and --ruleset"
            )
        for folder in _built_in(built_in, out, authors, about | ({"name": name} if name else {})):
            typer.echo(f"submission: {folder}")
        return
    if authors is None:
        raise ValueError("--authors is missing; AlgoPerf insists on them")
    optimizer = weighted(optimizer, weights, switch)
    learned = isinstance(optimizer, str) and submissions.learned.is_learned_form(optimizer)
    if ruleset is None:
        ruleset = "self-tuning" if learned and list_ is None and space is None else "external"
    if list_ is not None:
        if space is not None:
            raise ValueError("--list and --space were both given; give one of them")
        given, rule = _listed(list_, optimizer, 1 if ruleset == "self-tuning" else size)
    elif optimizer is not None:
        if ruleset == "self-tuning" and not learned:
            raise ValueError("the self-tuning ruleset takes one point; give it with --list")
        given, rule = {} if space is None else _ranges(space), optimizer
    else:
        raise ValueError("nothing to package; give --list, --optimizer or --built-in")
    of_learned = submissions.learned.is_learned_form(rule)
    called = submissions.learned.parts(rule).learned.name if of_learned else rule.rpartition(":")[2]
    arguments = {"name": called} | given | ({"name": name} if name else {})
    if list_ is not None and (note := _padding(given)):
        typer.echo(f"note: {note}")
    chosen = submissions.optimizer(rule)
    folder = build(out, optimizer=chosen, authors=authors, ruleset=ruleset, **arguments, **about)
    if note := without_validation(chosen):
        typer.echo(f"note: {note}")
    typer.echo(f"submission: {folder}")


def _built_in(name: str, out: Path, authors: str | None, about: dict[str, Any]) -> list[Path]:
    from submissions.package import built_in

    by = {"authors": authors} if authors else {}
    if name != "all":
        return [built_in.write(name, out, **by, **about)]
    if "name" in about or "description" in about:
        raise ValueError("--name and --description are of one submission; leave them out with --built-in all")
    return built_in.write_all(out, **by, **about)


def _listed(list_: str, optimizer: str | None, size: int) -> tuple[dict[str, Any], str]:
    """`package`'s arguments for a list, and its update rule."""
    from shortlist._lists import read_points

    read = read_points(list_)
    rule = optimizer or read.update_rule
    if rule is None:
        raise ValueError(
            f"{list_}: does not say which update rule its points are for; name it with --optimizer"
        )
    points = [point.hyperparameters for point in read.points[:size]]
    adds = None if read.adds is None else min(read.adds, len(points))
    return {"name": read.name, "points": points, "provenance": read.source, "adds": adds}, rule


def _padding(given: dict[str, Any]) -> str | None:
    """Says which of the points that are shipped add nothing, and how to ship the others alone."""
    import lists

    adds = given["adds"]
    note = lists.padding_note(None, len(given["points"]), adds)
    return f"{note}; --size {adds} ships those alone" if note and adds else note


def _ranges(file: Path) -> dict[str, Any]:
    from submissions.spaces import SearchSpace, read_space
    from workloads.data import reading

    space = read_space(file)
    if not isinstance(space, SearchSpace):
        raise ValueError(f"{file}: a list of {len(space)} points, not a space; use --list {file}")
    return {
        "search_space": reading.read_json(file),
        "provenance": f"the ranges in {file.name}",
    }
