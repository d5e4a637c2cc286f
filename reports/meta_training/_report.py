"""The report on a meta-training: what it is, how it went, what its weights were worth at which outer step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from reports._words import capital, count, duration
from reports.figures import figure_outer_steps
from reports.figures.drawing import NARROW, SMALL
from reports.meta_training import _worth as worth
from reports.meta_training._facts import facts_section, kinds
from reports.meta_training._training import speed_section, training_section, with_changes
from reports.page import Block, Column, Gallery, Note, Picture, Prose, Report, Section, Table, draw_picture
from results.meta_trainings import CAP, MetaTrainingRecord

MOST_PICTURES = 24  # workloads whose curves stand on the page


def meta_training_report(
    record: MetaTrainingRecord, *, source: str = "", against: Sequence[Path] = ()
) -> Report:
    """The report on a meta-training, under way or ended.

    Args:
      record: what its folder holds, see `results.meta_trainings.read_meta_training`.
      source: where it lies, for its reader.
      against: studies whose trainings stand beside the evaluations.

    Raises:
      FileNotFoundError, ValueError: a study cannot be read, or there is nothing for it to stand beside; or nothing has
        been recorded yet.
    """
    if record.rows.is_empty():
        raise ValueError(
            f"{record.folder}: nothing is recorded yet; rows come every --record-every outer steps"
        )
    evaluated = not record.evaluations.is_empty()
    if against and not evaluated:
        raise ValueError(
            f"{record.folder}: --against {against[0]}: no weights have been evaluated; 'shortlist meta-evaluate "
            f"{record.folder} --workload ...' does"
        )
    references = worth.read_references(against, record.evaluations)
    over_all = worth.together(record.evaluations)
    plan, last = record.description["plan"], record.rows.row(-1, named=True)
    opening = _opening(record, over_all, references)
    return Report(
        title=f"Meta-training of {plan['optimizer']} · {count(int(last['outer_step']), 'outer step')}",
        finding=_finding(record, over_all),
        detail=(_detail(record, source), *_shorter(over_all)),
        facts=_tiles(record, over_all),
        opening=opening,
        caveats=_caveats(record, over_all, references),
        sections=(
            *_worth_sections(record, over_all, references),
            training_section(record, meta_loss=opening.name != "meta-loss"),
            speed_section(record),
            facts_section(record, source),
        ),
    )


def _finding(record: MetaTrainingRecord, over_all: pl.DataFrame) -> str:
    if over_all.is_empty():
        first, last = (record.rows.row(i, named=True) for i in (0, -1))
        return (
            f"The meta-loss went from {first['meta_loss']:.4g} to {last['meta_loss']:.4g} between outer steps "
            f"{first['outer_step']:,} and {last['outer_step']:,}."
        )
    longest = int(over_all["steps"].max())  # type: ignore[arg-type]
    newest = over_all.filter(steps=longest).row(-1, named=True)
    return (
        f"After {longest:,} steps with the weights of outer step {newest['outer_step']:,} training losses are, in the "
        f"mean over {count(newest['workloads'], 'workload')}, {_of_fresh(over_all, longest)}."
    )


def _of_fresh(over_all: pl.DataFrame, steps: int) -> str:
    """How the mean at a horizon went from the first weights to the newest, in words."""
    rows = over_all.filter(steps=steps)
    said = f"{_with_range(rows.row(-1, named=True))} of fresh parameters'"
    if len(rows) < 2:
        return said
    return f"{said} ({_with_range(rows.row(0, named=True))} at outer step {rows['outer_step'][0]:,})"


def _shorter(over_all: pl.DataFrame) -> tuple[str, ...]:
    """The same of shorter horizons."""
    steps = over_all["steps"].unique().sort().to_list()[:-1]
    return tuple(f"After {n:,} steps: {_of_fresh(over_all, n)}." for n in steps[-3:])


def _with_range(row: dict[str, float]) -> str:
    if row["seeds"] < 2:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"


def _detail(record: MetaTrainingRecord, source: str) -> str:
    plan, state = record.description["plan"], record.state
    names = plan["distribution"].get("workloads")
    on = count(len(names), "workload") if names else str(plan["distribution"].get("name", "tasks of its own"))
    said = f"{source}: {plan['estimator']['kind']} on {on}, seed {plan['seed']}."
    if state and not state["ended"]:
        said += f" It is under way, or was killed; asked for are {count(state['outer_steps'], 'outer step')}."
    elif state and state["outer_step"] < state["outer_steps"]:
        said += f" It has stopped before the {count(state['outer_steps'], 'outer step')} that were asked for."
    return said


def _tiles(record: MetaTrainingRecord, over_all: pl.DataFrame) -> tuple[tuple[str, str], ...]:
    last = record.rows.row(-1, named=True)
    tiles = [
        (f"{last['outer_step']:,}", "outer steps"),
        (f"{last['meta_loss']:.4g}", "meta-loss of the last interval"),
        (f"{last['inner_steps']:,}", "training steps of tasks, both signs counted"),
        (duration(float(record.rows["seconds"].sum())), "of training"),
    ]
    if not over_all.is_empty():
        newest = over_all.row(-1, named=True)
        said = f"mean training loss over fresh parameters' after {newest['steps']:,} steps"
        tiles.insert(2, (f"{newest['value']:.3f}", said))
    return tuple(tiles)


def _caveats(
    record: MetaTrainingRecord, over_all: pl.DataFrame, references: worth.References
) -> tuple[str, ...]:
    said = []
    evaluations = record.evaluations
    if evaluations.is_empty():
        said.append(
            "Meta-losses are of the tasks trained on, with weights that change meanwhile: they are no evaluation, "
            "which 'shortlist meta-evaluate' makes."
        )
    else:
        if over_all.is_empty():
            said.append("No weights have been evaluated on all workloads of a horizon yet: there is no mean.")
        else:
            said.append(
                "Ranges are over seeds alone, the same for all weights: they say nothing of other workloads."
            )
        trained_on = _trained_on(record)
        among = [name for name in evaluations["workload"].unique(maintain_order=True) if name in trained_on]
        if among:
            named = ", ".join(among[:5]) + (", …" if len(among) > 5 else "")
            of_all = evaluations["workload"].n_unique()
            said.append(f"Of {count(of_all, 'evaluated workload')} {len(among)} also trained on: {named}.")
    said += [capital(f"{item.path}: {item.reason}.") for item in references.left_out]
    data = dict(evaluations.select("workload", "data").iter_rows())
    of_studies = dict(references.losses.select("workload", "data").drop_nulls().iter_rows())
    differing = [name for name, text in of_studies.items() if data.get(name, text) != text]
    if differing:
        said.append(f"Trained on other data in a study than in the evaluations: {', '.join(differing[:5])}.")
    if any(", best of " in name for name in references.losses["reference"].unique()):
        said.append("Of several points of a study the best counts, chosen by the very loss that is shown.")
    said.append(kinds(record))
    return tuple(said)


def _trained_on(record: MetaTrainingRecord) -> set[str]:
    return {*record.description["data"], *record.workloads["workload"].unique()}


def _opening(record: MetaTrainingRecord, over_all: pl.DataFrame, references: worth.References) -> Picture:
    if over_all.is_empty():
        from reports.meta_training._training import meta_loss_picture

        return meta_loss_picture(record)
    curves = over_all.select(
        "outer_step", pl.format("{} steps", "steps").alias("series"), "value", "low", "high"
    ).with_columns(reference=pl.lit(None, pl.String))
    lines = worth.reference_together(references, record.evaluations).select(
        pl.lit(None, pl.Int64).alias("outer_step"),
        pl.format("{} steps", "steps").alias("series"),
        "value",
        *(pl.lit(None, pl.Float64).alias(name) for name in ("low", "high")),
        "reference",
    )
    return draw_picture(
        "worth",
        figure_outer_steps,
        with_changes(pl.concat([curves, lines]), record),
        "Training loss at the end over that of fresh parameters, the mean over workloads by the number of steps "
        "trained; bands reach from the least to the greatest seed. A training that diverged counts "
        f"{CAP:g}, which is the most."
        + (" Lines across are the studies." if len(lines) else "")
        + (" Dotted lines: something was changed." if len(record.changes) else ""),
        f"Worth of the weights over outer steps. {_finding(record, over_all)}",
        narrow=NARROW,
        title="What the weights are worth",
        label="loss over that of fresh parameters",
    )


def _worth_sections(
    record: MetaTrainingRecord, over_all: pl.DataFrame, references: worth.References
) -> tuple[Section, ...]:
    if record.evaluations.is_empty():
        return ()
    of_workloads = worth.of_workloads(record.evaluations)
    newest = worth.newest_of_all(record.evaluations)
    trained_on = _trained_on(record)
    of_newest = of_workloads.filter(outer_step=newest).with_columns(
        trained=pl.col("workload").is_in(sorted(trained_on))
    )
    names = of_workloads["workload"].unique(maintain_order=True).to_list()
    blocks: list[Block] = [
        Prose(
            f"Fixed workloads trained anew with {count(of_workloads['outer_step'].n_unique(), 'set')} of weights, "
            f"{count(len(record.evaluations), 'training')} in all, from seeds that are the same for all of them."
        ),
        Table(
            "newest",
            of_newest.select(
                "workload", "steps", "trained", "seeds", "value", "low", "high", "relative", "metric", "validation",
                "diverged",
            ),
            f"With the weights of outer step {newest:,}: the median training loss over seeds and its range, the same "
            "over that of fresh parameters, and the validation metric.",
            {
                "trained": Column("trained on"),
                "value": Column("training loss", spread=("low", "high")),
                "relative": Column("over fresh", show="fraction"),
            },
        ),
        *_beside(record, references, newest),
        Gallery(
            tuple(
                _workload_picture(record, of_workloads, references, name, i)
                for i, name in enumerate(names[:MOST_PICTURES])
            ),
            "Training loss at the end of each workload, the median over seeds, by the number of steps trained; bands "
            "reach from the least to the greatest seed."
            + (" Dashed lines across are the studies' medians over repeats." if len(references.losses) else ""),
        ),
    ]  # fmt: skip
    if len(names) > MOST_PICTURES:
        blocks.append(Note(f"{len(names) - MOST_PICTURES} more workloads are in the tables alone."))
    blocks += [
        Table(
            "over_outer_steps",
            over_all,
            "The mean over workloads of training losses over those of fresh parameters: median over seeds, with its "
            "range. Weights that have not been evaluated on all workloads are not here.",
            {
                "outer_step": Column("outer step"),
                "value": Column("over fresh", show="fraction", spread=("low", "high")),
            },
        ),
        Table(
            "evaluations",
            of_workloads,
            "Every workload, horizon and outer step: median training loss over seeds with its range.",
            {
                "outer_step": Column("outer step"),
                "value": Column("training loss", spread=("low", "high")),
                "relative": Column("over fresh", show="fraction"),
            },
            rows_shown=10,
        ),
    ]
    return (Section("What the weights are worth", tuple(blocks)),)


def _beside(record: MetaTrainingRecord, references: worth.References, newest: int) -> list[Block]:
    if references.losses.is_empty():
        return []
    table = worth.beside(references, record.evaluations, newest)
    said = []
    for (reference, steps), rows in table.group_by("reference", "steps", maintain_order=True):
        lower = int((rows["weights"] < rows["loss"]).sum())
        surely = int((rows["weights high"] < rows["loss low"]).sum())
        said.append(
            f"After {steps:,} steps they end lower than {reference} on {lower} of {count(len(rows), 'workload')}, on "
            f"{surely} of them with every seed below every repeat."
        )
    return [
        Prose(" ".join(said)),
        Table(
            "beside",
            table,
            f"The weights of outer step {newest:,} beside the studies: median training losses with their ranges; "
            "ahead: how often a training with the weights ends lower than one of the study, ties counting half.",
            {
                "weights": Column("with the weights", spread=("weights low", "weights high")),
                "loss": Column("of the study", spread=("loss low", "loss high")),
                "ahead": Column(show="fraction"),
            },
        ),
    ]


def _workload_picture(
    record: MetaTrainingRecord, of_workloads: pl.DataFrame, references: worth.References, name: str, i: int
) -> Picture:
    series = pl.format("{} steps", "steps").alias("series")
    none = [pl.lit(None, pl.Float64).alias(end) for end in ("low", "high")]
    curves = of_workloads.filter(workload=name).sort("steps", "outer_step").select(
        "outer_step", series, "value", "low", "high", pl.lit(None, pl.String).alias("reference")
    )  # fmt: skip
    lines = (
        references.losses.filter(workload=name)
        .group_by("reference", "steps", maintain_order=True)
        .agg(value=pl.col("loss").median())
        .select(pl.lit(None, pl.Int64).alias("outer_step"), series, "value", *none, "reference")
    )
    return draw_picture(
        f"workload-{i + 1}",
        figure_outer_steps,
        with_changes(pl.concat([curves, lines]), record),
        name,
        f"Training loss of {name} over outer steps.",
        title=name,
        label="training loss ↓",
        width=SMALL,
    )
