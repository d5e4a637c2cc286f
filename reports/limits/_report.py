"""The report on where a learned optimizer fails."""

from __future__ import annotations

import math
from collections.abc import Mapping

import polars as pl

from reports._words import count
from reports.figures import figure_along
from reports.figures.drawing import NARROW, SMALL
from reports.limits._tables import TRUTH, LimitsFound
from reports.page import (
    Block,
    Column,
    Gallery,
    Note,
    Prose,
    Report,
    Section,
    Table,
    draw_picture,
    file_stem,
)

TRUE = "the true one"


def limits_report(found: LimitsFound) -> Report:
    """The report: a section for every part that was trained."""
    asked = found.asked
    ahead = _ahead(found)
    said = "; ".join(f"{n} of {of} {where}" for where, (n, of) in ahead.items())
    finding = (
        f"{asked.learned} is ahead of all others on {said}."
        if said
        else f"{asked.learned} alone was trained."
    )
    sections = [*_longer(found), *_larger(found), *_batch(found), *_gradients(found)]
    return Report(
        title=f"Where {asked.learned} fails",
        finding=finding,
        detail=(f"From {found.source}, trainings of {asked.steps:,} steps where nothing else is said.",),
        facts=tuple(
            (f"{one.size:,.0f}", f"critical batch size of {name}, examples")
            for name, one in found.critical.items()
            if math.isfinite(one.size)
        ),
        caveats=_caveats(found),
        sections=tuple(sections),
    )


def _ahead(found: LimitsFound) -> dict[str, tuple[int, int]]:
    """Part -> in how many places the learned optimizer is ahead of all others, of how many."""
    lengths = [name for name in found.longer.columns if name.startswith("after ")]
    longer = found.longer.filter(pl.col("told") == TRUTH).unpivot(
        lengths, index=["workload", "contender"], variable_name="at", value_name="loss"
    )
    places = {
        "lengths of training": (longer, ["workload", "at"], "loss"),
        "larger models": (found.larger, ["workload", "at"], "loss"),
        "batch sizes": (found.batch, ["batch"], "steps"),
        "estimated gradients": (found.gradients.filter(pl.col("at") > 0), ["workload", "at"], "loss"),
    }
    made = {}
    for where, (table, by, value) in places.items():
        won = total = 0
        for _, rows in table.group_by(by, maintain_order=True):
            of = dict(rows.select("contender", pl.col(value).fill_null(math.inf)).iter_rows())
            others = [x for name, x in of.items() if name != found.asked.learned]
            if others:
                total += 1
                won += of[found.asked.learned] < min(others)
        if total:
            made[where] = (won, total)
    return made


def _longer(found: LimitsFound) -> tuple[Section, ...]:
    if found.longer.is_empty():
        return ()
    lengths = [name for name in found.longer.columns if name.startswith("after ")]
    pictures = []
    for (workload,), rows in found.curves.group_by("workload", maintain_order=True):
        lines = rows.filter(pl.col("step") > 0).select(
            series=pl.format("told {}", "told"), x=pl.col("step").cast(pl.Float64), y="loss"
        )
        others = (
            found.longer.filter(
                (pl.col("workload") == workload) & (pl.col("contender") != found.asked.learned)
            )
            .unpivot(lengths, index="contender", variable_name="x", value_name="y")
            .select(
                series="contender",
                x=pl.col("x").str.strip_prefix("after ").cast(pl.Float64),
                y="y",
            )
        )
        pictures.append(
            draw_picture(
                f"longer-{file_stem(str(workload))}",
                figure_along,
                pl.concat([lines, others]).drop_nulls(),
                f"{workload}: training losses; others are trained anew for every length.",
                f"Training losses on {workload} by steps, of {found.asked.learned} told different lengths.",
                width=SMALL,
                along="steps",
            )
        )
    blocks: list[Block] = [
        Prose(
            "A learned optimizer is told how many steps there will be. Told N it may be trained on past N; told a "
            "length that its weights have not seen in their own training, nothing says that it knows what to do. In "
            "rows that are told the truth, every length is a training of its own. Rows begin at initial parameters of "
            "their own."
        ),
        Table(
            "longer",
            found.longer,
            "Training losses after so many steps, by what the optimizer is told.",
            {name: Column(show="number") for name in lengths},
        ),
        Gallery(tuple(pictures), f"Lines of {found.asked.learned} are by what it is told."),
    ]
    if found.asked.trained_on is None:
        blocks.append(
            Note("The longest training that the weights were made by is not known, and was not told.")
        )
    return (Section("Trained for longer", tuple(blocks)),)


def _larger(found: LimitsFound) -> tuple[Section, ...]:
    if found.larger.is_empty():
        return ()
    return (
        Section(
            "Larger models",
            (
                Prose(f"One family, from small to large, {found.asked.steps:,} steps each."),
                draw_picture(
                    "larger", figure_along, _lines(found.larger, "at", "loss"),
                    "Training losses by parameters; lines over repeats.", "Training losses by parameters.",
                    narrow=NARROW, along="parameters",
                ),
                _beside(found, "larger", found.larger, {"workload": "workload", "at": "parameters"}, "loss"),
            ),
        ),
    )  # fmt: skip


def _batch(found: LimitsFound) -> tuple[Section, ...]:
    if found.batch.is_empty():
        return ()
    workload = next(cell.of for cell in found.asked.cells if cell.part == "batch")
    reached = found.batch.filter(pl.col("steps").is_finite())
    examples = reached.with_columns(pl.col(name) * pl.col("batch") for name in ("steps", "low", "high"))
    blocks: list[Block] = [
        Prose(
            f"Steps to a training loss of {found.target:.4g} on {workload}, the least over lengths of training and "
            "over a contender's points, read off evaluations. As long as a batch of twice the size takes half of the "
            "steps, the number of examples stays; above the critical batch size it doubles with the batch."
        ),
    ]
    if len(examples):
        blocks.append(
            draw_picture(
                "batch", figure_along, _lines(examples, "batch", "steps"),
                f"Examples, steps times batch size, to a training loss of {found.target:.4g} on {workload}.",
                "Examples to a loss by batch size.", narrow=NARROW, along="examples in a batch",
                label="examples to the loss: steps times batch size",
            )
        )  # fmt: skip
    blocks.append(
        _beside(
            found,
            "batch",
            found.batch,
            {"batch": "batch size"},
            "steps",
            Column(show="integer", absent="never"),
        )
    )
    if found.critical:
        fits = [(name, *one) for name, one in found.critical.items()]
        columns = ["contender", "critical batch size", "least steps", "least examples", "relative error"]
        blocks.append(
            Table(
                "critical",
                pl.DataFrame(fits, schema=columns, orient="row"),
                "S = S_min (1 + B_crit / B) as it fits best: at the critical batch size a training takes twice the "
                "examples of the smallest batches and twice the steps of the largest.",
                {name: Column(show="number") for name in columns[1:]},
            )
        )
        # Steps and examples can only be said to double where a batch of that size was tried.
        tried = dict(reached.group_by("contender").agg(pl.col("batch").max()).iter_rows())
        beyond = [name for name, one in found.critical.items() if one.size > tried[name]]
        if beyond:
            blocks.append(
                Note(
                    f"An extrapolation for {' and '.join(beyond)}: larger than every batch that reached the loss."
                )
            )
    return (Section("Batch size", tuple(blocks)),)


def _gradients(found: LimitsFound) -> tuple[Section, ...]:
    if found.gradients.is_empty():
        return ()
    pictures = tuple(
        draw_picture(
            f"gradients-{file_stem(str(workload))}", figure_along,
            _lines(rows.filter(pl.col("at") > 0), "at", "loss"), str(workload), f"Training losses on {workload}.",
            width=SMALL, along="pairs of parameters behind a gradient",
        )
        for (workload,), rows in found.gradients.group_by("workload", maintain_order=True)
        if rows.filter((pl.col("at") > 0) & pl.col("loss").is_not_null()).height
    )  # fmt: skip
    shown = found.gradients.with_columns(
        at=pl.when(pl.col("at") == 0).then(pl.lit(TRUE)).otherwise(pl.format("{} pair(s)", "at"))
    )
    return (
        Section(
            "Estimated gradients",
            (
                Prose(
                    "Gradients estimated by evolution strategies, from so many antithetic pairs of parameters, are far "
                    "noisier than those of batches, and of another kind."
                ),
                Gallery(pictures, "Training losses by the number of pairs."),
                _beside(found, "gradients", shown, {"workload": "workload", "at": "gradient"}, "loss"),
            ),
        ),
    )


def _lines(table: pl.DataFrame, x: str, y: str) -> pl.DataFrame:
    """A table of `LimitsFound` as `figure_along` takes it."""
    return table.select(series="contender", x=pl.col(x).cast(pl.Float64), y=pl.col(y), low="low", high="high")


def _beside(
    found: LimitsFound,
    name: str,
    table: pl.DataFrame,
    places: Mapping[str, str],
    value: str,
    column: Column | None = None,
) -> Table:
    """A table with a column for every contender, and its spread over repeats."""
    parts = []
    for contender in found.asked.contenders:
        rows = table.filter(pl.col("contender") == contender)
        finite = [
            pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(f"{contender}{more}")
            for c, more in ((value, ""), ("low", ", low"), ("high", ", high"))
        ]
        parts.append(rows.select(*places, *finite))
    joined = parts[0]
    for part in parts[1:]:
        joined = joined.join(part, on=list(places), how="left", maintain_order="left")
    looks = column or Column(show="number")
    columns = {
        contender: Column(
            show=looks.show, absent=looks.absent, spread=(f"{contender}, low", f"{contender}, high")
        )
        for contender in found.asked.contenders
    }
    said = "Training losses" if value == "loss" else "Steps to the loss"
    return Table(
        name, joined.rename(dict(places)), f"{said}, of the best and the worst repeat beside.", columns
    )


def _caveats(found: LimitsFound) -> tuple[str, ...]:
    asked = found.asked
    tuned = [f"{name} {count(n, 'point')}" for name, n in asked.points.items() if n > 1]
    said = ["Losses are training losses: nothing is said of validation, of time or of memory."]
    if tuned:
        said.append(
            f"The best of several points counts ({', '.join(tuned)}), chosen at every place anew by the losses that "
            f"are shown; {asked.learned} has nothing to choose."
        )
    by_data: dict[str, list[str]] = {}
    for workload, data in found.data.items():
        by_data.setdefault(data, []).append(workload)
    for data, of in by_data.items():
        shown = ", ".join(of[:2]) + (f" and {len(of) - 2} more" if len(of) > 2 else "")
        said.append(f"Data of {shown}: {data}.")
    said.append("Whether the weights were trained on tasks like these is not known here.")
    digests = ", ".join(f"{name} {digest[:12]}" for name, digest in asked.sha256.items())
    said.append(f"Weights: SHA-256 {digests}.")
    return tuple(said)
