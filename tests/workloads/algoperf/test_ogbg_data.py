"""Hold the graph network's data against their formats: molecules of QM9, and ogbg-molpcba as AlgoPerf batches it."""

import csv
import itertools

import jax
import numpy as np
import pytest

import workloads
from submissions import api
from tests.workloads import tfds_folders
from tests.workloads.parting import assert_parts_make_the_whole, assert_turns_make_the_whole
from tuning.execution.trials.run import run
from workloads import StreamedData
from workloads.algoperf import _molpcba, ogbg
from workloads.data import molecules, qm9

needs_qm9 = pytest.mark.skipif(qm9.version() is None, reason="qm9pack is not installed; it is in [embedded]")


@pytest.mark.parametrize(
    ("smiles", "counts", "bonds"),
    [
        ("C", (4, 1, 0, 0, 0), []),
        ("N#CC=O", (1, 2, 1, 1, 0), [(0, 1, 3, False), (1, 2, 1, False), (2, 3, 2, False)]),
        (
            "OC1CC1F",  # a ring of three
            (5, 3, 0, 1, 1),
            [(0, 1, 1, False), (1, 2, 1, True), (2, 3, 1, True), (1, 3, 1, True), (3, 4, 1, False)],
        ),
        ("[NH3+]CC([O-])=O", (5, 2, 1, 2, 0), None),
        ("CN(=O)=O", (3, 1, 1, 2, 0), None),  # nitrogen with five bonds
    ],
)
def test_atoms_and_bonds_are_those_of_the_smiles(smiles, counts, bonds):
    molecule = molecules.from_smiles(smiles)
    assert molecule.counts() == counts
    if bonds is not None:
        assert list(molecule.bonds) == bonds


def test_in_two_joined_rings_every_bond_is_of_a_ring_but_those_between_rings():
    fused, apart = molecules.from_smiles("C1CC2CC1C2"), molecules.from_smiles("C1CC1C1CC1")
    assert all(ring for *_, ring in fused.bonds)
    assert [bond[:2] for bond in apart.bonds if not bond[3]] == [(2, 3)]


@pytest.mark.parametrize("smiles", ["c1ccccc1", "C1CC", "C(C", "=", "O(C)(C)C", "CCl"])
def test_what_is_not_understood_is_refused(smiles):
    with pytest.raises(ValueError, match="SMILES"):
        molecules.from_smiles(smiles)


def test_a_graph_has_every_bond_both_ways():
    graph = molecules.from_smiles("OC=C").graph()
    assert graph["nodes"].tolist() == [
        [0, 0, 1, 0, 1, 1, 0, 0, 0],
        [1, 0, 0, 0, 1, 2, 0, 0, 1],
        [1, 0, 0, 0, 2, 1, 0, 0, 1],
    ]
    assert graph["senders"].tolist() == [0, 1, 1, 2]
    assert graph["receivers"].tolist() == [1, 2, 0, 1]
    assert graph["edges"].tolist() == [[1, 0, 0], [2, 0, 1], [1, 0, 0], [2, 0, 1]]


def test_labels_are_tails_of_what_the_formula_leaves():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (4000, 5))
    training = np.arange(4000) < 3000
    noise = rng.normal(size=(4000, 2))
    answers, known = molecules.labels(counts @ rng.normal(size=(5, 2)) + 0.1 * noise, counts, training)
    assert answers[training].mean(0) == pytest.approx([molecules.TAIL] * 4, abs=1e-3)
    assert known.mean() == pytest.approx(molecules.KNOWN, abs=0.02)
    # The formula says nothing more: the answers are those of the noise.
    assert np.mean(answers[:, 2:] == (noise > np.quantile(noise[training], 0.9, axis=0))) > 0.98


@needs_qm9
def test_hydrogens_from_smiles_are_those_that_qm9_counts():
    texts, counts, _ = qm9.read()
    for row in np.random.default_rng(0).choice(len(texts), 300, replace=False):
        assert molecules.from_smiles(texts[row]).counts() == tuple(counts[row]), texts[row]


@pytest.fixture(scope="module", params=["with the package", "without"])
def either(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "without":
            patch.setattr(qm9, "version", lambda: None)
        elif qm9.version() is None:
            pytest.skip("qm9pack is not installed; it is in [embedded]")
        return workloads.load("algoperf/ogbg@mini")


@pytest.fixture(scope="module")
def mini():
    return workloads.load("algoperf/ogbg@mini")


def test_no_formula_is_in_two_splits(either):
    def formulas(split):
        stored = either.data.splits[split]
        atoms = stored["nodes"][..., :5].sum(
            1
        )  # C, N, O, F and hydrogens: zeros behind a molecule add nothing
        return set(map(tuple, atoms.tolist()))

    train, validation, test = (formulas(split) for split in ("train", "validation", "test"))
    assert not train & (validation | test)
    assert not validation & test
    assert min(len(validation), len(test)) > 10
    kind = either.data.provenance.kind
    assert kind == ("embedded" if "QM9" in either.data.provenance.source else "synthetic")


def test_shapes_and_labels_of_mini(either):
    batch = workloads.batch_shapes(either)
    assert batch["inputs"].nodes.shape == (64 * 9 + 1, 9)
    assert batch["inputs"].edges.shape[1] == 3
    assert batch["targets"].shape == (65, 20)
    stored = either.data.splits["train"]
    assert not (stored["targets"] & ~stored["weights"]).any()
    assert 0.08 < stored["targets"].sum() / stored["weights"].sum() < 0.12


def test_evaluation_batches_of_graphs_are_filled_up_with_graphs_of_no_weight(mini):
    view = api.view(mini)
    size = 96  # 512 validation graphs: five whole batches and 32 graphs
    batches = list(view._build_input_queue(jax.random.PRNGKey(0), "validation", None, size))
    shapes = [jax.tree.map(np.shape, batch) for batch in batches]
    assert len(shapes) == 6
    assert all(shape == shapes[0] for shape in shapes)
    weights = np.concatenate([np.asarray(batch["weights"])[:-1] for batch in batches])
    stored = mini.data.splits["validation"]
    np.testing.assert_array_equal(weights[:512], stored["weights"])
    assert not weights[512:].any()
    np.testing.assert_array_equal(batches[-1]["inputs"].n_node[:32], stored["n_node"][-32:])


def examples(count, seed):
    """Records of ogbg-molpcba's form."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        nodes, bonds = int(rng.integers(1, 40)), int(rng.integers(0, 45))
        labels = rng.integers(0, 2, 128).astype(np.float32)
        labels[rng.random(128) < 0.4] = np.nan
        made.append(
            {
                "num_nodes": np.int64([nodes]),
                "node_feat": rng.integers(0, 119, (nodes, 9)).astype(np.float32),
                "num_edges": np.int64([bonds]),
                "edge_feat": rng.integers(0, 5, (bonds, 3)).astype(np.float32),
                "edge_index": rng.integers(0, nodes, (bonds, 2)),
                "labels": labels,
            }
        )
    return made


FEATURES = {
    "num_nodes": tfds_folders.numbers("int64", None),
    "node_feat": tfds_folders.numbers("float32", None, 9),
    "num_edges": tfds_folders.numbers("int64", None),
    "edge_feat": tfds_folders.numbers("float32", None, 3),
    "edge_index": tfds_folders.numbers("int64", None, 2),
    "labels": tfds_folders.numbers("float32", 128),
}


@pytest.fixture(scope="module")
def molpcba_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    splits = {"train": examples(520, 0), "validation": examples(41, 1), "test": examples(30, 2)}
    tfds_folders.write(folder, "ogbg_molpcba:0.1.3", FEATURES, splits, files=2)
    return folder


@pytest.fixture(scope="module")
def full(molpcba_dir):
    workload = workloads.load("algoperf/ogbg", molpcba_dir)
    assert isinstance(workload.data, StreamedData)
    return workload


def take(data, first, count, batch_size=8, seed=3):
    return list(itertools.islice(data.read("train", seed, batch_size, first), count))


def assert_same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_stream_of_graphs_begins_at_any_step(full):
    batches = take(full.data, 0, 200)  # more than two epochs
    assert_same(take(full.data, 183, 17), batches[183:])
    assert not np.array_equal(batches[0]["targets"], take(full.data, 0, 1, seed=4)[0]["targets"])
    graph = batches[0]["inputs"]
    assert graph.nodes.shape == (26 * 8 + 1, 9)
    assert graph.edges.shape == (*graph.senders.shape, 3) == (56 * 8, 3)
    assert batches[0]["targets"].shape == (9, 128)


def test_an_epoch_has_every_graph_once(full):
    def rows(batches):
        return [
            tuple(target)
            for batch in batches
            for target in batch["targets"][: full.data.count(batch)].tolist()
        ]

    once = list(full.data.read_once("train", 8))
    assert len(set(rows(once))) == len(rows(once)) == 520
    epoch = rows(take(full.data, 0, 200))
    assert set(epoch[:520]) == set(epoch[520:1040]) == set(rows(once))
    assert epoch[:520] != epoch[520:1040]


def test_labels_that_are_missing_have_no_weight(full):
    records = examples(41, 1)
    (batch, *_) = full.data.read_once("validation", 8)  # no more than the first file's first turn
    for i in range(full.data.count(batch)):
        labels = records[i]["labels"]
        np.testing.assert_array_equal(batch["weights"][i], ~np.isnan(labels))
        np.testing.assert_array_equal(batch["targets"][i], np.nan_to_num(labels))
        np.testing.assert_array_equal(batch["inputs"].n_node[i], len(records[i]["node_feat"]))
    assert not batch["weights"][full.data.count(batch) :].any()


def test_a_graph_that_fits_no_batch_is_refused(full):
    with pytest.raises(ValueError, match=r"graph \d+ has \d+ nodes .* take larger ones"):
        list(full.data.read_once("validation", 1))


def test_the_full_workload_is_evaluated_on_its_files(full):
    narrow = ogbg.BASE.model(ogbg.Options(hidden=(4,), latent=4, steps=1))
    params, _ = narrow.init(jax.random.key(0))
    measure = ogbg.BASE.measure(ogbg.Options(), narrow, full.data)
    accumulate = jax.jit(measure.accumulate)

    def evaluated(batch_size):
        totals = None
        for batch in full.data.once("validation", jax.random.key(0), batch_size, 41):
            more = accumulate(params, (), batch, jax.random.key(0))
            totals = more if totals is None else measure.merge(totals, more)
        assert int(totals["weights"].any(1).sum()) == 41
        return measure.compute(jax.device_get(totals))

    small, large = evaluated(8), evaluated(64)
    assert small == pytest.approx(large, rel=1e-4)
    assert 0 < small["mean_average_precision"] < 1


@pytest.mark.skipif(not api.is_installed(), reason="AlgoPerf is not installed; docs/algoperf.md says how")
@pytest.mark.parametrize("split", ["validation", "test"])
def test_batches_are_those_of_an_installed_algoperf(full, molpcba_dir, split):
    from workloads.installed import _algoperf

    real = _algoperf.real_workload("ogbg")
    queue = real._build_input_queue(jax.random.PRNGKey(0), split, str(molpcba_dir), 8)
    batches = list(full.data.read_once(split, 8))
    assert len(batches) > 2
    for own in batches:
        theirs = next(queue)
        assert own["inputs"]._fields == theirs["inputs"]._fields
        assert_same(tuple(own["inputs"]), tuple(theirs["inputs"]))
        assert_same([own["targets"], own["weights"]], [theirs["targets"], theirs["weights"]])
        assert own["inputs"].nodes.dtype == theirs["inputs"].nodes.dtype


def test_batches_have_a_part_for_every_device(full, monkeypatch):
    monkeypatch.setattr(_molpcba.jax, "device_count", lambda: 4)
    (batch,) = take(full.data, 0, 1, batch_size=16)
    assert batch["inputs"].nodes.shape == (4 * (26 * 4 + 1), 9)
    assert batch["targets"].shape == (20, 128)
    assert len(batch["inputs"].nodes) == batch["inputs"].n_node.sum()
    ends = np.asarray(batch["inputs"].senders).reshape(4, -1) // (26 * 4 + 1)
    assert (ends == np.arange(4)[:, None]).all()
    assert sum(map(full.data.count, full.data.read_once("validation", 16))) == 41


SUBMISSION = """
import functools
import jax, optax
from algoperf import spec

optimizer = optax.adam(4e-3)


@functools.partial(jax.jit, static_argnums=0)
def step(workload, params, state, batch, rng):
    def loss(params):
        logits, _ = workload.model_fn(
            params, batch, None, spec.ForwardPassMode.TRAIN, rng, update_batch_norm=True, dropout_rate=0.05)
        found = workload.loss_fn(batch["targets"], logits, mask_batch=batch.get("weights"), label_smoothing=0.0)
        return found["summed"] / found["n_valid_examples"]
    updates, state = optimizer.update(jax.grad(loss)(params), state)
    return optax.apply_updates(params, updates), state


def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return optimizer.init(model_params), None


def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng):
    state, none = optimizer_state
    assert batch["inputs"].nodes.shape[0] == batch["inputs"].n_node.sum()  # a jraph.GraphsTuple's fields
    params, state = step(workload, current_param_container, state, batch, rng)
    return (state, none), params, model_state


def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)


def get_batch_size(workload_name):
    return 64
"""


@pytest.mark.slow
def test_a_submission_of_algoperfs_trains_the_mini_workload(tmp_path):
    (tmp_path / "submission.py").write_text(SUBMISSION)
    (tmp_path / "space.json").write_text('[{"unused": 1}]')
    (done,) = run(
        submission_path=tmp_path / "submission.py", workload="algoperf/ogbg@mini", experiment_dir=tmp_path,
        experiment_name="e", tuning_search_space=tmp_path / "space.json", rng_seed=0, max_global_steps=90,
        eval_period_steps=30, isolated=False,
    )  # fmt: skip
    with (tmp_path / "e").joinpath(done.folder, "eval_measurements.csv").open() as lines:
        found = [float(row["validation/mean_average_precision"]) for row in csv.DictReader(lines)]
    # A tenth of the labels is yes: chance has about .1.
    assert found[-1] > 0.18


def test_parts_of_several_processes_make_the_whole(full, monkeypatch):
    monkeypatch.setattr(_molpcba.jax, "device_count", lambda: 4)
    assert_parts_make_the_whole(full.data, 16, 2)
    assert_turns_make_the_whole(full.data, "validation", 16, 41, 2)
    assert_turns_make_the_whole(full.data, "train", 16, 30, 4)
