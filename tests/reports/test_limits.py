"""Where a learned optimizer fails: tables by hand, the critical batch size, the report, and the command end to end."""

from __future__ import annotations

import math

import polars as pl
import pytest

from reports.limits import critical_batch, limits_report, of_losses
from reports.page import Note, write_report
from results.limits import Cell, Limits, read_limits, write_limits

CONTENDERS = {"celo": "celo@w", "adam": "adam_velodrome"}


def asked(*cells: Cell, **more) -> Limits:
    return Limits(CONTENDERS, {"celo": 1, "adam": 2}, 100, cells, **more)


def losses(*rows):
    """Of (study, workload, point, repeat, steps, losses)."""
    names = ("contender", "workload", "point", "repeat", "step", "loss")
    return pl.DataFrame(list(rows), schema=names, orient="row").with_columns(data=pl.lit("made up"))


def page_files(folder):
    return [file for file in folder.rglob("*") if file.is_file()]


def test_critical_batch_size_is_that_of_the_formula():
    sizes = [8, 16, 64, 256, 1024]
    found = critical_batch(sizes, [50 * (1 + 100 / b) for b in sizes])
    assert found is not None
    assert found[:3] == pytest.approx((100, 50, 5000), rel=1e-6)
    assert found.error < 1e-6
    # Never reached at the largest: left out. Twice the batch, half the steps throughout: no critical size.
    endless = critical_batch(sizes, [4096 / b for b in sizes[:-1]] + [math.inf])
    assert endless is not None
    assert endless.size == math.inf
    assert critical_batch(sizes[:3], [4, 2, math.inf]) is None


def test_longer_trainings_by_what_is_told():
    cells = [
        Cell("longer", "l0", "w", "w", "celo", 200, 200),
        Cell("longer", "l0-reset", "w", "w", "celo", 200, 200),
        *(Cell("longer", f"l1-{n}", "w", "w", "adam", n, n) for n in (100, 200)),
    ]
    steps = [0, 100, 200]
    table = losses(
        ("l0", "w", "told 100", 0, steps, [4.0, 2.0, 3.0]),
        ("l0", "w", "told 100", 1, steps, [4.0, 3.0, 4.0]),
        ("l0", "w", "told 200", 0, steps, [4.0, 3.0, 1.0]),
        ("l0", "w", "told 200", 1, steps, [4.0, 3.0, None]),
        ("l0-reset", "w", "told 100, then more_steps", 0, steps, [4.0, 2.5, 2.25]),
        # Adam: the best point is another at every length.
        ("l1-100", "w", "a", 0, [0, 100], [4.0, 2.0]),
        ("l1-100", "w", "b", 0, [0, 100], [4.0, 3.0]),
        ("l1-200", "w", "a", 0, steps, [4.0, 3.0, 2.5]),
        ("l1-200", "w", "b", 0, steps, [4.0, 3.0, 1.5]),
    )
    found = of_losses(asked(*cells), table, "here")
    assert found.longer.rows() == [
        ("w", "celo", "100", 2.5, 3.5),
        ("w", "celo", "200", 3.0, None),  # one of its repeats diverged
        ("w", "celo", "100, then more steps", 2.5, 2.25),
        ("w", "celo", "the truth", 2.5, None),
        ("w", "adam", "the truth", 2.0, 1.5),
    ]
    assert found.data == {"w": "made up"}


def test_batch_sizes_are_judged_by_the_first_step_at_the_target():
    cells = [
        Cell("batch", f"b{i}-{n}", f"w+batch_size={b}", "w", name, b, n)
        for i, name in enumerate(CONTENDERS)
        for b in (8, 16)
        for n in (2, 4)
    ]
    curves = {2: [3.0, 2.0, 1.0], 4: [3.0, 2.5, 1.0, 0.5, 0.2]}
    rows = []
    for cell in cells:
        curve = [x * (1 if cell.contender == "celo" else 2) for x in curves[cell.steps]]
        steps = list(range(cell.steps + 1))
        rows += [(cell.study, cell.workload, "p", repeat, steps, curve) for repeat in (0, 1)]
    table = losses(*rows)
    found = of_losses(asked(*cells), table, "here")
    assert found.target == pytest.approx(0.4)  # Adam's, twice celo's
    steps = dict(found.batch.select(pl.concat_str("contender", "batch"), "steps").iter_rows())
    assert steps == {"celo8": 4.0, "celo16": 4.0, "adam8": 4.0, "adam16": 4.0}
    easier = of_losses(asked(*cells, target=2.0), table, "here")
    assert easier.batch["steps"].to_list() == [1.0, 1.0, 2.0, 2.0]
    assert set(easier.batch["length"]) == {2}
    never = of_losses(asked(*cells, target=0.1), table, "here")
    assert set(never.batch["steps"]) == {math.inf}
    assert [picture.name for picture in limits_report(never).pictures] == []


@pytest.mark.parametrize(("size", "said"), [(12, False), (100, True)])
def test_a_critical_batch_size_that_no_training_had_is_called_an_extrapolation(size, said):
    steps = {b: round(96 * (1 + size / b)) for b in (8, 16, 32, 64)}  # whole numbers
    cells = [Cell("batch", f"b{b}", f"w+batch_size={b}", "w", "celo", b, 2000) for b in steps]
    rows = [(cell.study, cell.workload, "p", 0, [0, steps[cell.at], 2000], [3.0, 1.0, 1.0]) for cell in cells]
    found = of_losses(asked(*cells, target=1.0), losses(*rows), "here")
    assert found.critical["celo"].size == pytest.approx(size)
    (section,) = limits_report(found).sections
    notes = [block.text for block in section.blocks if isinstance(block, Note)]
    assert any("An extrapolation for celo" in note for note in notes) is said


def test_the_report_says_who_is_ahead_and_on_which_data(tmp_path):
    places = [("larger", name, name, n) for n, name in ((10, "s"), (20, "m"), (40, "l"))]
    places += [("gradients", f"w+es={n}", "w", n) for n in (0, 1, 4)]
    cells = [
        Cell(part, f"{part}-{i}", workload, of, name, at, 100)
        for part, workload, of, at in places
        for i, name in enumerate(CONTENDERS)
    ]
    rows = [
        (
            cell.study,
            cell.workload,
            point,
            0,
            [0, 100],
            [9.0, cell.at + (50 if cell.contender == "adam" else 2 * cell.at)],
        )
        for cell in cells
        for point in ("a", "b")[: 1 + (cell.contender == "adam")]
    ]
    report = limits_report(of_losses(asked(*cells, sha256={"celo": "ab" * 32}), losses(*rows), "here"))
    assert (
        report.finding == "celo is ahead of all others on 2 of 3 larger models; 2 of 2 estimated gradients."
    )
    assert any("adam 2 points" in said for said in report.caveats)
    assert "Data of s, m and 2 more: made up." in report.caveats
    page = write_report(report, tmp_path / "report").read_text()
    assert "parameters" in page
    assert {file.name for file in page_files(tmp_path)} >= {"larger.csv", "gradients.csv"}


def test_a_folder_takes_more_parts_and_nothing_else(tmp_path):
    larger = Cell("larger", "larger-0-100", "w", "w", "celo", 50, 100)
    longer = Cell("longer", "longer-0-100", "w", "w", "celo", 100, 100)
    write_limits(tmp_path, asked(larger))
    write_limits(tmp_path, asked(longer))
    assert [cell.part for cell in read_limits(tmp_path).cells] == ["longer", "larger"]
    with pytest.raises(ValueError, match="other contenders, workloads or sizes were asked for"):
        write_limits(tmp_path, Limits({"velo": "velo@w"}, {"velo": 1}, 100, (longer,)))
    (tmp_path / "limits.json").write_text("{}")
    with pytest.raises(ValueError, match="is not of format 1"):
        read_limits(tmp_path)
