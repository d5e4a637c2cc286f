"""Protocols: stages at a scale, each trained once, and nothing that chose a list judges it."""

from __future__ import annotations

import dataclasses
from functools import partial

import pytest
from polars.testing import assert_frame_equal

import lists
import workloads
from results import studies
from submissions import environment
from submissions.points import Point
from tests.tuning.toy import toy_workload
from tuning import strategies
from tuning.execution.stopping import Stop
from tuning.protocols import (
    PROTOCOLS,
    Choose,
    Own,
    Protocol,
    Publish,
    Report,
    Rerun,
    RerunExact,
    Scale,
    Tune,
    Whole,
)
from tuning.protocols.run import Published, Rooms, run, stages_of, trials_of
from tuning.strategies import vizier
from workloads import _registry

NAMES = ("toy/one", "toy/two")
VARIANTS = ("toy/other",)
SCALE = Scale(
    workloads=NAMES, candidates=3, repeats=2, size=2, variants=VARIANTS, draws=4, whole=True, exact=2
)
POINTS = tuple(Point(name, {"learning_rate": 0.1}) for name in "abc")
SMALL = Protocol(
    stages=(
        Tune("search", "random", points="candidates", elsewhere="random"),
        Tune("sweep", "lr-sweep", {"weight_decay": 0.5}),
        Tune("theirs", "list", published="somebody's"),
        Tune("more", "lr-sweep", optional=True),
        Choose("search"),
        Rerun("proof", "search"),
        RerunExact("proof-exact", "search", beside="proof"),
        Whole("seen", "search"),
        Whole("unseen", "search", on="variants"),
        Tune("drawn", "random", points="draws"),
        Publish("search", "proof"),
        Report(),
    ),
    scales={"tiny": SCALE},
    reference="nobody",
)


@pytest.fixture(scope="module", autouse=True)
def registered():
    """Workloads of one structure, taken back, as other tests count the names."""
    for name in (*NAMES, *VARIANTS):
        workloads.register(name)(partial(lambda data_dir, name: toy_workload(name=name), name=name))
    yield
    for name in (*NAMES, *VARIANTS):
        del _registry._REGISTERED[name]


def choose(study, size, construction):
    """Other lists for other workloads; an exact one holds what the greedy one does not for the second alone."""
    ids = sorted(studies.read_trials(study)["point"].unique())
    chosen = {NAMES[0]: ids[:size], NAMES[1]: ids[-size:]}
    return chosen | {NAMES[1]: ids[:size]} if construction == "exact" else chosen


def whole(study, size):
    return sorted(studies.read_trials(study)["point"].unique(), reverse=True)[:size]


def publish(candidates, proof, size, to):
    to.write_text(f"{candidates.name} {proof.name} {size}")


def report(out, to):
    to.mkdir(parents=True, exist_ok=True)
    seen = [*studies.find_studies(out / "studies"), *studies.find_studies(out / "final")]
    (to / "index.html").write_text(" ".join(path.name for path in seen))
    return to / "index.html"


ROOMS = Rooms(lambda name: Published(POINTS, "sgd_optax"), choose, whole, publish, report)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    out = tmp_path_factory.mktemp("protocol")
    return run(SMALL, SCALE, out, ROOMS, seed=5, also=["more"])


@pytest.fixture
def specs(ran):
    return {path.name: studies.read_spec(path) for path in all_studies(ran)}


def all_studies(page):
    out = page.parents[1]
    return [*studies.find_studies(out / "studies"), *studies.find_studies(out / "final")]


def test_the_report_sees_every_study(ran):
    assert ran.read_text() == "drawn more proof proof-exact search sweep theirs seen unseen"


def test_the_list_is_published_with_its_proof(ran):
    assert (ran.parents[1] / "list.json").read_text() == "search proof 2"


def test_candidates_train_once_and_baselines_as_often_as_the_scale_says(specs):
    asked = {
        name: (spec.role, len(spec.points[spec.workloads[0]]), spec.repeats) for name, spec in specs.items()
    }
    assert asked == {
        "search": ("candidates", 3, 1),
        "sweep": ("baseline", 2, 2),
        "more": ("baseline", 2, 2),
        "theirs": ("baseline", 2, 2),
        "proof": ("leave-one-out", 2, 2),
        "proof-exact": ("baseline", 2, 2),
        "seen": ("baseline", 2, 2),
        "unseen": ("baseline", 2, 2),
        "drawn": ("candidates", 4, 1),
    }
    assert (specs.pop("unseen").workloads, specs.pop("proof-exact").workloads) == (VARIANTS, NAMES[1:])
    assert {(spec.workloads, spec.cohort_size) for spec in specs.values()} == {(NAMES, SCALE.size)}


def test_a_published_list_keeps_its_points_its_name_and_its_optimizer(specs):
    theirs = specs["theirs"]
    assert theirs.points == dict.fromkeys(NAMES, POINTS[:2])
    assert (theirs.title, theirs.optimizer) == ("list somebody's", "sgd_optax")
    assert theirs.strategy == {"name": "list", "list": "somebody's"}


def test_every_workload_reruns_its_own_list_from_a_fresh_seed(specs):
    candidates = specs["search"].points[NAMES[0]]
    assert specs["proof"].points == {NAMES[0]: candidates[:2], NAMES[1]: candidates[1:]}
    assert [specs[name].seed for name in ("search", "sweep", "theirs", "proof")] == [5, 5, 5, 6]


def test_a_list_of_all_workloads_is_tried_on_them_and_on_variants_from_other_seeds(specs):
    chosen = specs["search"].points[NAMES[0]][:0:-1]
    assert specs["seen"].points == dict.fromkeys(NAMES, chosen)
    assert specs["unseen"].points == dict.fromkeys(VARIANTS, chosen)
    assert (specs["seen"].seed, specs["unseen"].seed) == (7, 7)


def test_progress_is_one_line_of_all_trials(ran):
    told = []
    run(SMALL, SCALE, ran.parents[1], ROOMS, seed=5, also=["more"], progress=lambda *at: told.append(at))
    trials = sum(len(studies.read_trials(path)) for path in all_studies(ran))
    known = trials_of(stages_of(SMALL, SCALE, also=["more"]), SCALE)
    assert {(what, total) for what, _, total in told} == {("trials", known), ("trials", trials)}
    assert told[-1][1] == trials == known + 2 * SCALE.repeats  # of an exact list that is another


def test_another_optimizer_leaves_out_what_is_made_for_the_protocols_own(tmp_path):
    few = dataclasses.replace(SMALL, stages=(*SMALL.stages[:3], Report()))
    page = run(few, SCALE, tmp_path, ROOMS, own=Own("sgd_optax"))
    assert page.read_text() == "search"
    spec = studies.read_spec(tmp_path / "studies" / "search")
    assert spec.points is not None
    assert spec.optimizer == "sgd_optax"
    assert set(spec.points[NAMES[0]][0].hyperparameters) > {"use_nesterov"}


def test_a_library_that_is_missing_is_told_before_anything_is_trained(tmp_path, monkeypatch):
    def missing():
        raise ValueError("Vizier needs packages that are not installed")

    monkeypatch.setattr(vizier.PROCESS, "require_installed", missing)
    asks = dataclasses.replace(
        SMALL, stages=(SMALL.stages[0], Tune("vizier", "vizier", points="twice"), Report())
    )
    with pytest.raises(ValueError, match="Vizier needs packages"):
        run(asks, SCALE, tmp_path, ROOMS)
    assert not (tmp_path / "studies").exists()


@pytest.mark.parametrize(
    ("here", "asked", "size"), [("cpu", None, 2), ("gpu A", None, None), ("cpu", "gpu A", None)]
)
def test_cohorts_have_one_size_on_a_cpu_and_the_devices_own_elsewhere(
    here, asked, size, tmp_path, monkeypatch
):
    given = []

    def train(folder, spec, **_):
        given.append(spec.cohort_size)
        raise KeyboardInterrupt

    monkeypatch.setattr("tuning.protocols.run.tune", train)
    monkeypatch.setattr(environment, "device_kind", lambda: here)
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, SCALE, tmp_path, ROOMS, who={"options": {"device": asked}})
    assert given == [size]


def test_a_small_scale_has_neither_a_whole_list_nor_random_search():
    small = dataclasses.replace(SCALE, whole=False, draws=0, variants=())
    left = {stage.study for stage in stages_of(SMALL, small) if isinstance(stage, Tune | Whole)}
    assert left == {"search", "sweep", "theirs"}


def test_an_exact_list_is_trained_anew_only_where_the_greedy_one_is_another(ran, specs):
    greedy, other = specs["proof"], specs["proof-exact"]
    assert other.workloads == NAMES[1:]
    assert (other.seed, other.repeats, other.role) == (greedy.seed, greedy.repeats, "baseline")
    one, again = (
        studies.read_trials(ran.parents[1] / "studies" / name, NAMES[1]) for name in ("proof", "proof-exact")
    )
    shared = again.join(one, on=["point", "repeat"])
    assert len(shared) == SCALE.repeats  # of one point of the two, and the very same trainings
    (curve,) = (name for name in one.columns if name.startswith("validation/"))
    assert shared[curve].to_list() == shared[f"{curve}_right"].to_list()
    assert SMALL.stages[6] not in stages_of(SMALL, dataclasses.replace(SCALE, exact=0))


def test_running_it_again_trains_nothing_and_renews_the_report(ran):
    out = ran.parents[1]
    trained = lambda: {  # noqa: E731
        path: path.stat().st_mtime_ns
        for study in all_studies(ran)
        for path in study.rglob("*")
        if path.is_file()
    }
    files = trained()
    ran.write_text("old")
    assert run(SMALL, SCALE, out, ROOMS, seed=5, also=["more"]) == ran
    assert ran.read_text() == "drawn more proof proof-exact search sweep theirs seen unseen"
    assert trained() == files


def test_a_protocol_stopped_again_and_again_ends_with_the_same_numbers(ran, tmp_path):
    """Bit for bit; only clocks and the times of claims may differ."""
    most = attempts = 0
    while True:
        stop = Stop()

        def after_more(what, done, total, stop=stop, most=most):
            if done > most + 12:
                stop.set()

        attempts += 1
        try:
            page = run(SMALL, SCALE, tmp_path, ROOMS, seed=5, also=["more"], progress=after_more, stop=stop)
        except KeyboardInterrupt:
            now = sum(
                len(studies.read_trials(folder)) for folder in all_studies(tmp_path / "report" / "page")
            )
            assert now > most
            most = now
            continue
        break
    assert attempts > 2
    assert page.read_text() == ran.read_text()
    clocks = ["cohort_seconds", "command"]
    for whole, resumed in zip(all_studies(ran), all_studies(page), strict=True):
        assert studies.read_spec(whole) == studies.read_spec(resumed)
        one, other = (studies.read_trials(folder).drop(clocks) for folder in (whole, resumed))
        assert_frame_equal(one, other, check_exact=True)


def test_an_optional_study_is_left_out_unless_it_is_asked_for(tmp_path):
    few = dataclasses.replace(SMALL, stages=(SMALL.stages[3], Report()))
    assert run(few, SCALE, tmp_path, ROOMS).read_text() == ""
    with pytest.raises(
        ValueError, match=r"no optional study 'moer'; did you mean 'more'\? \(there is: more\)"
    ):
        run(few, SCALE, tmp_path / "not", ROOMS, also=["moer"])
    assert not (tmp_path / "not").exists()


def test_a_baseline_is_left_out_where_a_person_says_so_and_nothing_that_others_need():
    names = [s.study for s in stages_of(SMALL, SCALE, without=["drawn", "sweep"]) if isinstance(s, Tune)]
    assert names == ["search", "theirs"]
    with pytest.raises(
        ValueError, match=r"no baseline 'search' to leave out \(there is: sweep, theirs, more, drawn\)"
    ):
        stages_of(SMALL, SCALE, without=["search"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"workloads": NAMES[:1]}, "1 workloads; leaving one out takes at least 2"),
        ({"size": 4}, "size is 4 but there are only 3 candidates; ask for lists of 3 or fewer"),
        ({"repeats": 0}, "repeats is 0; must be at least 1"),
        ({"draws": 1}, "draws is 1; random search needs 2"),
    ],
)
def test_a_scale_that_cannot_end_well_is_refused_before_anything_is_trained(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(SCALE, **change)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_stages_name_what_exists(name):
    trained = []
    for stage in PROTOCOLS[name].stages:
        match stage:
            case Tune():
                published = (
                    {} if stage.published is None else {"points": lists.published(stage.published).points}
                )
                strategies.check_options(stage.strategy, {**stage.options, **published})
                trained.append(stage.study)
            case Choose(candidates) | Rerun(candidates=candidates) | Whole(candidates=candidates):
                assert candidates in trained
            case RerunExact():
                assert stage.candidates in trained
    for scale in PROTOCOLS[name].scales.values():
        names = [*scale.workloads, *scale.variants]
        assert [workloads.entry(workload).name for workload in names] == names
        assert stages_of(PROTOCOLS[name], scale, also=scale.also)
