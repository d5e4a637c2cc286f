"""Parts that all reports share: the list, its length and penalty, what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

import lists
from reports import _tables as tables
from reports._words import capital, number
from reports._words import count as count_of
from reports.figures import figure_cost_by_length
from reports.figures.drawing import NARROW, short_names
from reports.page import Block, Column, Note, Prose, Section, Table, draw_picture
from results import Fractions, Results

LONGEST = 10  # longer curves are flat long before


def workload_columns(workloads: Sequence[str], **how: object) -> dict[str, Column]:
    """Columns of workloads under their short names, all shown alike, each with its spread where there is one."""
    return {
        name: Column(title=short, spread=tables.spread_columns(name), **how)  # type: ignore[arg-type]
        for name, short in short_names(workloads).items()
    }


def fraction_columns(workloads: Sequence[str], penalty: float, *, best: bool = True) -> dict[str, Column]:
    """How a table of fractions is shown."""
    return {
        "contender": Column(title=""),
        "trials": Column(title="points", note="× repeats", show="text"),
        **workload_columns(workloads, show="share", best="min" if best else None),
        "trained": Column(note=f"of {len(workloads)}", best="max" if best else None),
        "cost": Column(
            note=f"miss = {penalty:g}", show="fraction", best="min" if best else None,
            spread=tables.spread_columns("cost"),
        ),
        "spread": Column(hidden=True),
    }  # fmt: skip


def list_section(
    fractions: Fractions,
    hyperparameters: Mapping[str, Mapping[str, object]],
    size: int,
    penalty: float,
    *,
    anew: Mapping[str, float] | None = None,
    others: Sequence[Block] = (),
) -> Section:
    """The list itself: its points, what each trains, the exact optimum beside it, and the left-out lists.

    Args:
      fractions: of all candidate points.
      hyperparameters: point -> name -> value.
      size: points in the list.
      penalty: tau.
      anew: workload -> fraction of the left-out list when trained again.
      others: blocks to add at the end.
    """
    chosen = lists.greedy(fractions.values, size, penalty, places=fractions.places)
    workloads, count = fractions.workloads, len(fractions.points)
    blocks: list[Block] = [
        Prose(
            f"Built greedily from {count} candidate points on all {len(workloads)} workloads: each point is "
            "the one that lowers the cost most, given those before it. Try them in this order and stop "
            f"when you can afford no more. Of points that serve it equally well, it takes {lists.TIES['merit']}."
        ),
        Table(
            "list",
            tables.list_table(fractions, chosen, hyperparameters),
            f"The list of {size}. Cost: of the list up to and including the point, on the workloads that "
            "built it.",
            {
                "place": Column(title=""),
                "point": Column(show="code"),
                "adds": Column(note="lowers the cost"),
                "cost": Column(note=f"miss = {penalty:g}", show="fraction"),
            },
        ),
        *_padding(chosen, size),
        Prose(_exact_in_words(fractions, chosen, penalty)),
        Table(
            "list_fractions",
            tables.list_fractions_table(fractions, chosen),
            "Which point trains what: fraction of the budget at which each reaches each target. Darker is "
            "sooner.",
            {"point": Column(show="code"), **workload_columns(workloads, show="share", shade=True)},
            lead_rows=(size,),
        ),
    ]
    if len(workloads) > 1:
        left = lists.leave_one_out(fractions.values, size, penalty, places=fractions.places)
        blocks.append(
            Table(
                "leave_one_out_lists",
                tables.leave_one_out_lists_table(fractions, left, anew),
                "The list built without each workload, and how it does there. Cost is that on the other "
                "workloads.",
                {
                    "workload": Column(title="left out"),
                    "list": Column(title="points, first to try first", show="code"),
                    "adds": Column(title="points that add", note="on the others"),
                    "cost": Column(note="on the others", show="fraction"),
                    "fraction": Column(title="fraction", note="same trainings", show="share"),
                    "by_adding": Column(title="fraction", note="of those that add", show="share"),
                    "anew": Column(title="fraction", note="trained anew", show="share"),
                },
            )
        )
        blocks += unlearnt_notes(fractions, left)
    return Section("The list", (*blocks, *others))


def _padding(chosen: lists.ChosenList, size: int) -> list[Block]:
    """Says so where points of the list add nothing."""
    note = lists.padding_note(size, len(chosen.points), chosen.adds, "merit")
    return [Note(f"{capital(note)}.")] if note else []


def unlearnt_notes(fractions: Fractions, left: lists.LeaveOneOut) -> list[Block]:
    """Says so where a left-out workload is trained by points alone that add nothing on the others."""
    names = short_names(fractions.workloads)
    lucky = [names[w] for w, no in zip(fractions.workloads, left.unlearnt[:, -1], strict=True) if no]
    if not lucky:
        return []
    return [
        Note(
            f"Not learnt: {', '.join(lucky)}, reached only by points that add nothing on the workloads that built "
            "the list. The tie rule chose them; what they do there says little about lists."
        )
    ]


def length_section(
    fractions: Fractions, size: int, penalty: float, *, anew: tuple[int, float] | None = None
) -> Section:
    """How cost depends on the list's length, how results depend on the penalty, how far single points carry.

    Args:
      fractions: of all candidate points.
      size: points in the list.
      penalty: tau.
      anew: (points, cost) of the left-out lists trained again.
    """
    workloads, count = fractions.workloads, len(fractions.points)
    curves = tables.cost_by_length_table(fractions, min(count, max(LONGEST, size)), penalty)
    drawn = curves
    if anew is not None:
        extra = pl.DataFrame(
            {"points": [anew[0]], "series": ["leave-one-out, trained anew"], "cost": [anew[1]]}
        )
        drawn = pl.concat([drawn, extra], how="diagonal")
    picture = draw_picture(
        "cost_by_length",
        figure_cost_by_length,
        drawn,
        "What each further point brings. Greedy and exact lists are judged on the workloads that built "
        "them, leave-one-out lists on the one they have not seen: the gap is the price of not knowing the "
        "workload.",
        f"Cost against list length, from 1 to {curves['points'].max()} points, for lists built greedily and "
        "exactly, and for lists judged on a workload they have not seen.",
        narrow=NARROW,
        penalty=penalty,
    )
    blocks: list[Block] = [picture]
    wide = curves.pivot("series", index="points", values=["cost", "trained"])
    shown = {"points": Column(title="points")}
    for series in curves["series"].unique(maintain_order=True):
        shown[f"cost_{series}"] = Column(title=series, note="cost", show="fraction")
        shown[f"trained_{series}"] = Column(title=series, note=f"trained of {len(workloads)}")
    lead = (wide["points"].to_list().index(size),) if size in wide["points"] else ()
    caption = f"Cost (penalty {penalty:g}) and workloads trained, by length of the list."
    blocks.append(Table("cost_by_length", wide.select(*shown), caption, shown, lead_rows=lead))
    blocks.append(
        Table(
            "trains_others",
            tables.trains_others_table(fractions),
            f"How many of the {count} candidate points reach each workload's target, and how many of those "
            "reach the targets of other workloads too.",
            {"reaches": Column(title="points that reach"), **workload_columns(workloads)},
        )
    )
    if len(workloads) > 1:
        by_penalty = tables.penalty_table(fractions, size)
        caption = f"Left-out workloads trained by lists of {size} points, by the penalty of a missed target."
        if by_penalty["trained"].n_unique() == 1:
            caption += " The penalty does not matter here."
        turned = by_penalty.with_columns(
            pl.Series("penalty", [number(penalty) for penalty in by_penalty["penalty"]], pl.String)
        ).transpose(include_header=True, header_name="penalty", column_names="penalty")
        blocks.append(Table("penalty", turned, caption, {"penalty": Column(title="penalty")}))
    return Section("How long a list, how hard a penalty", tuple(blocks))


def left_out_table(results: Results, name: str = "left_out") -> Table:
    """What the source holds that is not in the report, and why."""
    rows = [(item.path, item.reason) for item in results.left_out]
    return Table(
        name,
        pl.DataFrame(rows, schema={"path": pl.String, "reason": pl.String}, orient="row"),
        f"Left out: {count_of(len(rows), 'item')}.",
        {"path": Column(title="what", show="code"), "reason": Column(title="why")},
        rows_shown=12,
    )


def _exact_in_words(fractions: Fractions, chosen: lists.ChosenList, penalty: float) -> str:
    """The exact optimum beside the greedy list."""
    size, count = len(chosen.points), len(fractions.points)
    if len(fractions.workloads) > lists.MAX_WORKLOADS:
        return (
            f"The exact optimum was not computed: {len(fractions.workloads)} workloads, exact lists take at "
            f"most {lists.MAX_WORKLOADS}."
        )
    best = lists.exact(fractions.values, size, penalty, places=fractions.places)
    names = ", ".join(fractions.points[p] for p in best.points)
    if set(best.points) == set(chosen.points):
        return f"No other {size} of the {count} points cost less: the greedy list is the exact optimum."
    gap = chosen.costs[-1] / best.costs[-1] - 1
    if gap < 1e-12:
        return f"No {size} of the {count} points cost less: the exact optimum ({names}) costs the same."
    return (
        f"The exact optimum of {size} of {count} points ({names}) costs {best.costs[-1]:.3f}, the greedy "
        f"list {chosen.costs[-1]:.3f}, {100 * gap:.1f} % more. An optimal set has no order in which to stop "
        "early."
    )
