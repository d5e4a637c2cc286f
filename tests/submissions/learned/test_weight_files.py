"""Files of trained weights: byte for byte, told apart, and refused in one line."""

from __future__ import annotations

import hashlib
import pickle
import re

import jax
import msgpack
import numpy as np
import pytest

from submissions.learned import LEARNED, weight_files
from submissions.learned._pylo import GROUPS

HIERARCHICAL = LEARNED["hierarchical"]
PUBLISHED = {  # name -> numbers, bytes, SHA-256
    "celo": (37_089, 149_216, "35683c6123069c101d62ec1f8b2e6d70d50a43e67ebe09953b27620a7dcb836b"),
    "celo_adam": (36_865, 147_803, "99c65fa0218a739c32eac4e8a99523b6fed92e2926d0c5d64e83835637b75d38"),
}


def velo_like(lstm: int, bank: int, inputs: int = 30, seed: int = 0):
    """The tree of VeLO's paper, of any size, leaves in the order of sorted names."""
    draw = np.random.default_rng(seed)

    def one(*shape):
        return draw.standard_normal(shape, np.float32)

    def layer(into, out):
        return {"b": one(out), "w": one(into, out)}

    mlp = {f"w0__{number}": one(bank, channels, 4) for number, channels in enumerate(GROUPS)}
    mlp |= {"b0": one(bank, 4), "b1": one(bank, 4), "b2": one(bank, 3)}
    mlp |= {"w1": one(bank, 4, 4), "w2": one(bank, 4, 3)}
    layers = {name: layer(inputs, lstm) for name in ("linear", "linear_1", "linear_2")}
    layers |= {"rnn/linear": layer(2 * lstm, 4 * lstm), "rnn_to_controls": layer(lstm, bank)}
    layers |= {"step_size": layer(lstm, 1)}
    return {
        "ff_mod_stack": {"~": dict(sorted(mlp.items()))},
        "lstm_init_state": {"cell": one(1, lstm), "hidden": one(1, lstm)},
        "rnn_params": dict(sorted(layers.items())),
    }


def small_hierarchical(**sizes):
    made = HIERARCHICAL.initial(jax.random.key(1), **({"lstm": 3, "mlp": 2} | sizes))
    return jax.tree.map(np.asarray, made)


def assert_same(one, two):
    assert jax.tree.structure(one) == jax.tree.structure(two)
    jax.tree.map(np.testing.assert_array_equal, one, two)


def test_velos_own_file_has_its_size_to_the_byte():
    # Published: 9,282,564 bytes, with a gen_id of 32 characters; the bare tree 9,282,507.
    weights = velo_like(512, 256)
    assert len(weight_files.flax_bytes(weights)) == 9_282_507
    assert len(weight_files.flax_bytes(weights, {"gen_id": "gen_id", "step": 1000})) == 9_282_537
    assert len(weight_files.flax_bytes(weights, {"gen_id": "0" * 32, "step": 1000})) == 9_282_564


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_files_are_known_and_come_back_byte_for_byte(shared, name):
    file = shared / f"data/learned_optimizer_weights/{name}.theta.state"
    numbers, size, sha256 = PUBLISHED[name]
    read = weight_files.read(file)
    assert (read.numbers, read.size, read.sha256, read.layout) == (numbers, size, sha256, "flax")
    assert list(read.optimizers) == [name]
    assert weight_files.flax_bytes(read.weights) == file.read_bytes()


@pytest.mark.parametrize("around", [None, {"gen_id": "mine", "step": 7}])
def test_what_was_written_is_read(tmp_path, around):
    weights = small_hierarchical()
    weight_files.write(tmp_path / "w", weights, around)
    read = weight_files.read(tmp_path / "w")
    assert_same(read.weights, weights)
    assert read.around == (around or {})
    assert read.optimizers == {"hierarchical": {"lstm": 3, "mlp": 2}}
    assert read.sha256 == hashlib.sha256((tmp_path / "w").read_bytes()).hexdigest()
    assert weight_files.for_optimizer(HIERARCHICAL, read, "w") is read.weights


@pytest.mark.parametrize("name", LEARNED)
def test_the_weights_of_every_optimizer_are_known_whatever_their_sizes(name):
    row = LEARNED[name]
    lengths = {size: value for size, value in row.sizes.items() if isinstance(value, int)}
    other = {size: 3 if "layers" in size else number for number, size in enumerate(lengths, 2)}
    for sizes in (lengths, other):
        shapes = jax.eval_shape(lambda key, sizes=sizes: row.initial(key, **sizes), jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        found = weight_files.parse(weight_files.flax_bytes(zeros)).optimizers
        assert dict(found) == {name: sizes}


def test_msgpack_alone_reads_what_was_written(tmp_path):
    # The format in words: an array is an extension of type 1, packed as (shape, type, bytes).
    weight_files.write(tmp_path / "w", small_hierarchical())
    read = msgpack.unpackb((tmp_path / "w").read_bytes())
    shape, kind, content = msgpack.unpackb(read["initial_from_mlp"].data)
    assert read["initial_from_mlp"].code == 1
    assert (shape, kind) == ([16], "float32")
    np.testing.assert_array_equal(np.frombuffer(content, "<f4"), small_hierarchical()["initial_from_mlp"])


def test_weights_go_through_pylos_two_files(tmp_path):
    weights = velo_like(6, 3)
    rnn, mlp = weight_files.write_pylo(tmp_path, weights)
    assert [file.parent.name for file in (rnn, mlp)] == ["VeLO_RNN", "VeLO_MLP"]
    for order in ((rnn, mlp), (mlp, rnn)):
        read = weight_files.read(*order)
        assert_same(read.weights, weights)
        assert (read.layout, list(read.optimizers)) == ("pylo", ["velo"])
    from safetensors.numpy import load_file

    there = load_file(rnn) | load_file(mlp)
    assert there["input_weights_"].shape == (3, 4, 30)
    np.testing.assert_array_equal(  # channel 4 is group 3's second
        there["input_weights_"][1, :, 4], weights["ff_mod_stack"]["~"]["w0__3"][1, 1]
    )
    np.testing.assert_array_equal(there["lstm.linear.weight"], weights["rnn_params"]["rnn/linear"]["w"].T)
    with pytest.raises(ValueError, match=r"is PyLO's VeLO_RNN alone; give its VeLO_MLP beside it"):
        weight_files.read(rnn)


def meta_mlp(file, **changed):
    """A safetensors file with the names and the shapes, [outputs, inputs], of PyLO's MetaMLP."""
    from safetensors.numpy import save_file

    rng = np.random.default_rng(0)
    named = {}
    for layer, outputs, inputs in (("input", 32, 39), ("linear_0", 32, 32), ("output", 2, 32)):
        named[f"network.{layer}.weight"] = rng.normal(size=(outputs, inputs)).astype(np.float32)
        named[f"network.{layer}.bias"] = rng.normal(size=outputs).astype(np.float32)
    named = {name: x for name, x in (named | changed).items() if x is not None}
    save_file(named, file)
    return named


def test_pylos_meta_mlp_is_adafac_mlp_lopts_network(tmp_path):
    named = meta_mlp(tmp_path / "model.safetensors")
    read = weight_files.read(tmp_path / "model.safetensors")
    assert dict(read.optimizers) == {"adafac_mlp_lopt": {"hidden_size": 32, "hidden_layers": 2}}
    layers = read.weights["nn"]["~"]
    x = np.random.default_rng(1).normal(size=39).astype(np.float32)
    ours, theirs = x, x
    for i, layer in enumerate(("input", "linear_0", "output")):
        ours = ours @ layers[f"w{i}"] + layers[f"b{i}"]
        theirs = named[f"network.{layer}.weight"] @ theirs + named[f"network.{layer}.bias"]
        if i < 2:
            ours, theirs = np.maximum(ours, 0), np.maximum(theirs, 0)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)  # float32 sums in another order
    # Its class turns a start of .9 and this weight into this decay.
    decay = 1 - (1 - 0.9) * np.exp(10 * read.weights["momentum_decays"][0])
    assert decay == pytest.approx(0.5420, abs=1e-4)
    LEARNED["adafac_mlp_lopt"].make(read.weights, step_mult=0.01)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network.output.bias": None}, r"looks like PyLO's MetaMLP, but network\.output\.bias is missing"),
        ({"network.ln.bias": np.zeros(2, np.float32)}, r"but network\.ln\.bias is none of its"),
        ({"network.input.weight": np.zeros((32, 30), np.float32)}, r"network\.input\.weight is \(32, 30\)"),
    ],
)
def test_a_meta_mlp_of_another_kind_is_told(tmp_path, changed, message):
    meta_mlp(tmp_path / "model.safetensors", **changed)
    with pytest.raises(ValueError, match=message):
        weight_files.read(tmp_path / "model.safetensors")


def test_pylos_files_have_the_published_sizes(tmp_path):
    rnn, mlp = weight_files.write_pylo(tmp_path, velo_like(512, 256))
    assert rnn.stat().st_size == 9_119_908
    # The published one, 164,296, lacks one of the six working arrays that PyLO makes anew at every step.
    assert mlp.stat().st_size == 164_296 + 84


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no weight file, or one that is cut short"),
        (b"not a weight file at all", "no weight file"),
        (pickle.dumps({"a": 1}), "no weight file"),
        (msgpack.packb([1, 2]), "holds a list, not a map of arrays"),
        (msgpack.packb({}), "it is empty; known are those of .*hierarchical"),
        (msgpack.packb({"a": 1}), "a is a int, must be an array of float32"),
        (msgpack.packb({1: 1}), "1 is no name"),
        (b"\x20\0\0\0\0\0\0\0{" + b"x" * 40, "a damaged safetensors file"),
    ],
)
def test_other_files_are_refused_in_a_line(tmp_path, content, message):
    file = tmp_path / "w"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=f"^{re.escape(str(file))}: .*{message}") as refused:
        weight_files.read(file)
    assert "\n" not in str(refused.value)


def test_a_pickle_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "w").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ValueError, match="no weight file"):
        weight_files.read(tmp_path / "w")
    assert not (tmp_path / "sprung").exists()


def test_every_cut_is_noticed():
    content = weight_files.flax_bytes(small_hierarchical(), {"gen_id": "a", "step": 1})
    for cut in {*range(0, len(content), 97), len(content) - 1}:
        with pytest.raises(ValueError, match=r"weights: (no weight file|holds a)"):
            weight_files.parse(content[:cut])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w | {"initial_from_mlp": np.zeros(15, np.float32)},
         r"nearest to hierarchical's, but initial_from_mlp is \(15,\), in the released ones \(16,\)"),
        (lambda w: {name: w[name] for name in w if name != "rnn_params"},
         "nearest to hierarchical's, but rnn_params/rnn/linear/b is missing"),
        (lambda w: w | {"more": np.zeros(1, np.float32)}, "more is not in it"),
        (lambda w: w | {"initial_from_mlp": np.zeros(16)}, "initial_from_mlp is of float64, must be float32"),
        (lambda w: w | {"initial_from_mlp": np.full(16, np.nan, np.float32)}, "numbers that are not finite"),
        (lambda w: {"layers": {"kernel": np.zeros(2, np.float32)}}, "it has 1 arrays, such as layers/kernel"),
    ],
)  # fmt: skip
def test_foreign_weights_are_told_what_they_come_nearest_to(change, message):
    from flax import serialization

    content = serialization.msgpack_serialize(change(small_hierarchical()))
    with pytest.raises(ValueError, match=message):
        weight_files.parse(content)


def test_anothers_weights_are_refused_by_name():
    velo = weight_files.parse(weight_files.flax_bytes(velo_like(6, 3)))
    with pytest.raises(ValueError, match=r"f: not weights of hierarchical: .* is missing; .* those of velo$"):
        weight_files.for_optimizer(HIERARCHICAL, velo, "f")


def test_a_failed_write_leaves_what_was_there(tmp_path):
    weight_files.write(tmp_path / "w", small_hierarchical())
    before = (tmp_path / "w").read_bytes()
    with pytest.raises(ValueError, match="must be float32"):
        weight_files.write(tmp_path / "w", {"a": np.zeros(3)})
    assert (tmp_path / "w").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["w"]
