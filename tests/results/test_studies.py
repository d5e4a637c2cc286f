"""Studies on disk: what is written, what is refused, what a half-written file does."""

from __future__ import annotations

import dataclasses
import json

import polars as pl
import pytest

from results import studies
from results.studies import StudySpec
from submissions.points import Point
from tests.results.old_studies import as_format_1
from workloads.data.files import write_once

NAME = "toy/linear"
POINTS = tuple(Point(str(i), {"learning_rate": 0.1 * (i + 1)}) for i in range(7))
SPEC = StudySpec(
    name="s", title="a study", role="candidates", optimizer="nadamw_optax",
    strategy={"name": "list", "arguments": {}}, points={"toy/linear": POINTS}, workloads=("toy/linear",), cohort_size=3,
)  # fmt: skip


def rows(*ids: str, cohort: int = 0, **columns) -> pl.DataFrame:
    """Trials of a cohort, as little of them as is always there."""
    asked = {point.id: json.dumps(dict(point.hyperparameters)) for point in POINTS}
    return pl.DataFrame(
        {
            "workload": NAME, "cohort": cohort, "repeat": 0, "point": ids, "hyperparameters": [asked[i] for i in ids],
            "status": "done", "global_step": [[10, 20]] * len(ids), **columns,
        }
    )  # fmt: skip


def test_a_specification_survives_the_disk_exactly(tmp_path):
    studies.write_spec(tmp_path / "s", SPEC)
    assert studies.read_spec(tmp_path / "s") == SPEC


def test_writing_the_same_specification_again_changes_nothing(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    before = (tmp_path / "study.json").read_bytes()
    studies.write_spec(tmp_path, SPEC)
    assert (tmp_path / "study.json").read_bytes() == before


def test_a_specification_from_before_evaluation_had_options_reads_as_their_defaults(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    path = tmp_path / "study.json"
    raw = json.loads(path.read_text())
    for key in ("eval_period", "eval_batches", "eval_at_start", "cohort_sizes", "programs"):
        del raw[key]
    path.write_text(json.dumps(raw))
    assert studies.read_spec(tmp_path) == SPEC
    studies.write_spec(tmp_path, SPEC)  # and is the same study


def test_a_study_that_does_not_say_how_its_points_were_drawn_is_gone_on_with(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    studies.write_spec(tmp_path, dataclasses.replace(SPEC, draws="chosen"))
    assert studies.read_spec(tmp_path).draws is None
    studies.write_spec(tmp_path / "new", dataclasses.replace(SPEC, draws="chosen"))
    with pytest.raises(ValueError, match="this study has draws = 'chosen', asked for 'independent'"):
        studies.write_spec(tmp_path / "new", dataclasses.replace(SPEC, draws="independent"))


def test_runs_are_read_in_the_order_they_were_written(tmp_path):
    assert studies.read_runs(tmp_path) == ()
    runs = [studies.Run(n, 1, 0.5, 2.0, "cpu", {"jax": "0"}, None) for n in (3, 4)]
    runs.append(studies.Run(2, 1, 0.5, 2.0, "cpu", {"jax": "0"}, None, (4.5, 1.25)))
    for run in runs:
        studies.write_run(tmp_path, run)
    with (tmp_path / "runs.jsonl").open("a") as file:  # as earlier versions wrote it
        file.write(
            '{"trials":1,"compilations":0,"compile_seconds":0,"seconds":1,"device":"cpu","versions":{},"command":null}\n'
        )
    assert studies.read_runs(tmp_path) == (*runs, studies.Run(1, 0, 0, 1, "cpu", {}, None))
    with (tmp_path / "runs.jsonl").open("a") as file:
        file.write("{half")
    with pytest.raises(ValueError, match=r"runs\.jsonl: .*delete the file"):
        studies.read_runs(tmp_path)


def test_nobody_knows_the_size_of_a_cohort_before_it_is_chosen():
    with pytest.raises(ValueError, match="cohort_size is None; tune chooses one per workload"):
        dataclasses.replace(SPEC, cohort_size=None).cohorts(POINTS, NAME)
    chosen = dataclasses.replace(SPEC, cohort_size=None, cohort_sizes={NAME: 4})
    assert [len(cohort.points) for cohort in chosen.cohorts(POINTS, NAME)] == [4, 3]


def test_another_study_in_the_same_folder_is_refused_and_nothing_overwritten(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    before = (tmp_path / "study.json").read_bytes()
    with pytest.raises(ValueError, match="this study has seed = 0, asked for 1"):
        studies.write_spec(tmp_path, dataclasses.replace(SPEC, seed=1))
    assert (tmp_path / "study.json").read_bytes() == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match="not empty and not a study"):
        studies.write_spec(tmp_path, SPEC)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 2, "na', "not valid JSON"),
        ("[]", "study format 'list'"),
        ('{"format": 4}', "study format 4; this version of shortlist reads formats 1 to 3"),
        ('{"format": 2, "seeed": 3}', "unknown key 'seeed'; did you mean 'seed'"),
        ('{"format": 1}', "missing required field `name`"),
    ],
)
def test_a_damaged_or_foreign_specification_says_what_is_wrong(tmp_path, content, message):
    (tmp_path / "study.json").write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        studies.read_spec(tmp_path)
    assert str(tmp_path / "study.json") in str(error.value)


def test_a_missing_study_says_how_to_make_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="shortlist tune --study"):
        studies.read_spec(tmp_path)


def test_cohorts_cover_every_trial_once_and_never_mix_repeats():
    spec = dataclasses.replace(SPEC, repeats=2)
    cohorts = spec.cohorts(POINTS, NAME, first=8)
    assert [(cohort.number, cohort.repeat, [p.id for p in cohort.points]) for cohort in cohorts] == [
        (8, 0, ["0", "1", "2"]), (9, 0, ["3", "4", "5"]), (10, 0, ["6"]),
        (11, 1, ["0", "1", "2"]), (12, 1, ["3", "4", "5"]), (13, 1, ["6"]),
    ]  # fmt: skip
    assert {cohort.size for cohort in cohorts} == {3}


def test_cohorts_are_as_equal_as_they_can_be():
    sizes = [len(c.points) for c in dataclasses.replace(SPEC, cohort_size=6).cohorts(POINTS, NAME)]
    assert sizes == [4, 3]


def test_half_written_files_are_invisible_and_damaged_ones_are_named(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    studies.write_cohort(tmp_path, "toy/linear", 0, studies.as_parquet(rows("0", "1", "2")))
    folder = studies.cohort_path(tmp_path, "toy/linear", 0).parent
    (folder / ".00001.parquet.99.tmp").write_bytes(b"half")
    assert len(studies.read_trials(tmp_path)) == 3
    (folder / "00002.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ValueError, match=r"00002\.parquet: unreadable .* delete it"):
        studies.read_trials(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"role": "hero"}, "unknown role 'hero'"),
        ({"draws": "sobol"}, "unknown draws 'sobol'; allowed: independent, quasi-random, chosen"),
        ({"workloads": ()}, "no workloads"),
        ({"repeats": 0}, "repeats is 0, must be at least 1"),
        ({"eval_batches": 0}, "eval_batches is 0, must be at least 1 or None"),
        ({"seeding": "hash"}, "unknown seeding 'hash'; allowed: hashed, algoperf, targets"),
        ({"seeding": "algoperf"}, "add --own-batches"),
        ({"seeding": "algoperf", "shared_batches": False, "repeats": 2}, "has no repeats"),
        ({"seeding": "algoperf", "shared_batches": False, "seed": -1}, r"takes seeds in 0\.\.4294967295"),
        ({"points": {"other": POINTS}}, "points are given for"),
    ],
)
def test_impossible_specifications_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SPEC, **change)


def test_a_study_of_format_1_reads_in_todays_words_and_is_written_anew_once_its_programs_are_known(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    trials = rows("0", "1", "2", cohort_seconds=1.5)
    studies.write_cohort(tmp_path, NAME, 0, studies.as_parquet(trials))
    as_format_1(tmp_path)
    before = (tmp_path / "study.json").read_bytes()
    assert studies.read_spec(tmp_path) == SPEC
    read = studies.read_trials(tmp_path)
    assert read.select(trials.columns).equals(trials)
    assert set(read["loop"]) == {"population"}  # what rows have come to say since
    assert read["submission_seconds"].to_list() == [None] * 3
    studies.write_spec(tmp_path, SPEC)
    assert (
        tmp_path / "study.json"
    ).read_bytes() == before  # reading and asking for the same rewrites nothing
    with pytest.raises(ValueError, match="cohort_size = 3, asked for 4"):
        studies.write_spec(tmp_path, dataclasses.replace(SPEC, cohort_size=4))
    decided = dataclasses.replace(SPEC, programs={NAME: studies.Programs(3, 1)})
    studies.write_spec(tmp_path, decided)
    assert json.loads((tmp_path / "study.json").read_text())["format"] == studies.FORMAT
    assert studies.read_spec(tmp_path) == decided


def test_a_study_whose_role_is_no_longer_compared_is_refused_with_what_to_do(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    as_format_1(tmp_path)
    path = tmp_path / "study.json"
    path.write_text(path.read_text().replace('"candidates"', '"final-list"'))
    wanted = r"study\.json: .*unknown role 'final-list'; allowed: candidates, .*; correct it there or start another"
    with pytest.raises(ValueError, match=wanted):
        studies.read_spec(tmp_path)


def test_of_two_who_begin_a_study_at_once_one_writes_it_and_the_other_compares(tmp_path, monkeypatch):
    def at_once(path, content):
        write_once(path, content)  # the other one is quicker
        return write_once(path, content)

    monkeypatch.setattr(studies, "write_once", at_once)
    studies.write_spec(tmp_path / "s", SPEC)
    assert studies.read_spec(tmp_path / "s") == SPEC
    with pytest.raises(ValueError, match="this study has seed = 0, asked for 1"):
        studies.write_spec(tmp_path / "s", dataclasses.replace(SPEC, seed=1))


def test_the_first_result_of_a_cohort_is_kept(tmp_path):
    assert studies.write_cohort(tmp_path, NAME, 0, b"first")
    assert not studies.write_cohort(tmp_path, NAME, 0, b"second")
    assert studies.cohort_path(tmp_path, NAME, 0).read_bytes() == b"first"


def test_specification_is_plain_json_that_a_person_can_read(tmp_path):
    studies.write_spec(tmp_path, SPEC)
    raw = json.loads((tmp_path / "study.json").read_text())
    assert raw["points"]["toy/linear"][1] == {"id": "1", "hyperparameters": {"learning_rate": 0.2}}


def test_a_study_that_could_not_be_written_can_be_begun_again(tmp_path, monkeypatch):
    def full(file):
        raise OSError(28, "No space left on device")

    folder = tmp_path / "s"
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        studies.write_spec(folder, SPEC)
    monkeypatch.undo()
    (folder / ".study.json.0.tmp").write_bytes(b"half")  # of one that was killed there
    studies.write_spec(folder, SPEC)
    assert studies.read_spec(folder) == SPEC


def test_a_file_in_place_of_a_study_is_told_as_such(tmp_path):
    (tmp_path / "s").write_text("a letter")
    with pytest.raises(FileExistsError, match="is a file, not a study"):
        studies.write_spec(tmp_path / "s", SPEC)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workloads": (NAME, NAME)}, "toy/linear is named twice"),
        ({"optimizer": ""}, "the optimizer has no name"),
        ({"points": {NAME: (POINTS[0], POINTS[0])}}, "toy/linear has two points with the id '0'"),
        ({"cohort_size": 0}, "cohort_size is 0, must be at least 1"),
        ({"cohort_sizes": {NAME: 0}}, "cohort_sizes of toy/linear is 0, must be at least 1"),
        ({"blocks": {NAME: 0}}, "blocks of toy/linear is 0, must be at least 1"),
        ({"programs": {NAME: studies.Programs(0, 1)}}, "programs of toy/linear are 0 wide"),
        ({"name": " "}, "the study has no name"),
        ({"repeats": 2**70}, "repeats is 1180591620717411303424, must be at most 100000"),
        ({"grown": {NAME: ((2**70, 1),)}}, "a study never shrinks"),
        ({"grown": {NAME: ((1, 2**70),)}}, "a study never shrinks"),
    ],
)
def test_what_no_study_can_be_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SPEC, **change)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ('"learning_rate": NaN', "not valid JSON"),
        ('"learning_rate": 1e999', "not valid JSON|must be a finite number"),
        ('"learning_rate": "0.1"', "Expected `float`, got `str`|must be a finite number"),
        ('"learning_rate": true', "Expected `float`, got `bool`"),
    ],
)
def test_values_that_are_no_numbers_are_refused_with_the_file(tmp_path, written, message):
    studies.write_spec(tmp_path, SPEC)
    path = tmp_path / "study.json"
    path.write_text(path.read_text().replace('"learning_rate": 0.1', written, 1))
    with pytest.raises(ValueError, match=message) as error:
        studies.read_spec(tmp_path)
    assert str(path) in str(error.value)
