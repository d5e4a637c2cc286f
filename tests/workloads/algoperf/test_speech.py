"""Hold what both speech models are made of against AlgoPerf's numbers: features, masks, CTC, word errors."""

import jax
import jax.numpy as jnp
import jiwer
import numpy as np
import pytest

from tests.workloads.algoperf import golden, speech
from workloads.algoperf import _ctc, _log_mel, _lstm, _speech, _words


@golden.needs_golden
def test_features_and_their_paddings_are_algoperfs():
    arrays, _ = golden.components()
    audio, paddings = golden.batch("librispeech_conformer", "eval")["inputs"]
    features, frame_paddings = jax.jit(lambda *x: _log_mel.log_mel(*x, _log_mel.Bands()))(audio, paddings)
    # Rounding of 512 samples' spectra; a bin of little energy has a logarithm that shows it.
    np.testing.assert_allclose(
        features[:, :3], arrays["frontend/batch/normalised/first_frames"], atol=5e-5, rtol=0
    )
    np.testing.assert_array_equal(frame_paddings, arrays["frontend/batch/paddings"])
    found = golden.sampled(features)
    np.testing.assert_allclose(found, arrays["frontend/batch/normalised@4096"], atol=5e-5, rtol=0)


@golden.needs_golden
def test_normaliser_is_what_algoperfs_features_were_normalised_with():
    arrays, _ = golden.components()
    mean, deviation = _log_mel.normaliser("librispeech")
    for sound in ("batch", "chirp"):
        plain = arrays[f"frontend/{sound}/plain_log_mel/first_frames"]
        expected = arrays[f"frontend/{sound}/normalised/first_frames"]
        np.testing.assert_allclose((plain - mean) / deviation, expected, atol=2e-6, rtol=0)


@golden.needs_golden
@pytest.mark.parametrize(
    ("name", "masking"),
    [("base", _log_mel.Masking()), ("norm_and_spec_aug", _log_mel.Masking(times=15, frequencies=4))],
)
def test_masks_of_given_draws_are_algoperfs(name, masking):
    arrays, _ = golden.components()
    of = lambda what: jnp.asarray(arrays[f"specaug/{name}/{what}"])  # noqa: E731
    drawn = _log_mel.Draws(*(of(f"draw{i}") for i in range(4)))
    lengths = jnp.sum(1 - of("paddings"), axis=1).astype(jnp.int32)
    in_time, in_frequency = _log_mel.masks(drawn, lengths, 120, 80, masking)
    np.testing.assert_array_equal(in_time, of("time_mask"))
    np.testing.assert_array_equal(in_frequency, of("freq_mask"))


def test_masks_differ_between_examples_and_keys_and_leave_most_of_the_sound():
    features, paddings = jnp.ones((64, 100, 40)), jnp.zeros((64, 100))
    masking = _log_mel.Masking(times=2, frequencies=1, longest=0.1, widest=10)
    one, two = (_log_mel.masked(jax.random.key(i), features, paddings, masking) for i in (0, 1))
    assert not np.array_equal(one, two)
    assert not np.array_equal(one[0], one[1])
    # A mask of up to 10 of 100 frames covers 4.5 of them in the mean, one of up to 10 of 40 bins 4.5: a share of
    # 1 - .955**2 * .8875 = .19 is masked, within 4 standard errors of about .01.
    assert abs(1 - float(one.mean()) - 0.19) < 0.04


@golden.needs_golden
def test_ctc_loss_and_its_gradient_are_algoperfs():
    arrays, values = golden.components()
    batch = {"targets": (jnp.asarray(arrays["ctc/labels"]), jnp.asarray(arrays["ctc/label_paddings"]))}

    def summed(logits):
        losses, weights = _ctc.losses((logits, arrays["ctc/logit_paddings"]), batch, None)
        return jnp.sum(losses * weights), (losses * weights, weights)

    (total, (per_example, weights)), gradient = jax.value_and_grad(summed, has_aux=True)(
        jnp.asarray(arrays["ctc/logits"])
    )
    np.testing.assert_allclose(per_example, arrays["ctc/per_example"], rtol=1e-6)
    np.testing.assert_allclose(gradient, arrays["ctc/grad_of_sum"], atol=1e-5)
    assert float(total) == pytest.approx(values["ctc"]["summed"], rel=1e-6)
    assert float(weights.sum()) == values["ctc"]["n_valid_examples"]


@golden.needs_golden
def test_greedy_decoding_is_algoperfs():
    arrays, _ = golden.components()
    decoded = jax.jit(_ctc.decoded)(arrays["greedy/logits"], arrays["greedy/paddings"])
    np.testing.assert_array_equal(decoded, arrays["greedy/decoded"])


def test_greedy_decoding_merges_drops_and_stops():
    # frames: 1 1 _ 1 2 | _ 3 (the length ends it before the last two)
    best = jnp.array([[1, 1, 0, 1, 2, 0, 3]])
    paddings = jnp.array([[0.0, 0, 0, 0, 0, 1, 1]])
    assert _ctc.decoded(jax.nn.one_hot(best, 4), paddings).tolist() == [[1, 1, 2, 0, 0, 0, 0]]


@golden.needs_golden
def test_word_errors_are_algoperfs_with_its_quirk():
    for case in golden.components()[1]["wer"]:
        counted = _words.errors_and_words(_words.printed(case["hyp"]), _words.printed(case["ref"]))
        assert counted == (case["word_errors"], case["num_words"]), case
        assert _words.printed(case["ref"]) == case["tf_str_of_ref"]
        assert _words.errors_and_words(case["hyp"], case["ref"])[0] == case["plain_edit_distance"]


def test_plain_word_error_rate_is_jiwers():
    random = np.random.default_rng(0)
    said = [" ".join(random.choice(list("abcd"), random.integers(1, 9))) for _ in range(50)]
    heard = [" ".join(random.choice(list("abcd"), random.integers(0, 9))) for _ in range(50)]
    counts = [_words.errors_and_words(*pair) for pair in zip(heard, said, strict=True)]
    errors, words = np.sum(counts, axis=0)
    assert errors / words == pytest.approx(jiwer.wer(said, heard), rel=1e-12)


def test_rates_of_a_corpus_are_sums_and_leave_out_rows_without_weight():
    totals = {
        "loss": 6.0,
        "tokens": 4.0,
        "said": np.array([[1, 2, 3], [4, 0, 0], [1, 1, 1]]),
        "heard": np.array([[1, 3, 0, 0], [4, 0, 0, 0], [0, 0, 0, 0]]),
        "counts": np.array([True, True, False]),
    }
    one_more = {**totals, "loss": 2.0, "tokens": 2.0, "counts": np.array([False, False, False])}
    rates = _words.rates(_words.merged(totals, one_more), _words.spelled("abcd"))
    # a b c heard as a c: one word is missing; AlgoPerf's count has two words more in each of the two texts.
    assert rates == pytest.approx({"ctc_loss": 8 / 6, "plain_wer": 1 / 4, "wer": 1 / 8})


@golden.needs_golden
def test_sentence_pieces_are_put_together():
    sentencepiece = pytest.importorskip("sentencepiece")
    path = golden.FOLDER / "spm_1024.model"
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    text = model.decode(list(range(100, 110)))
    tokens = model.encode(text, add_eos=True)
    # AlgoPerf's targets end with the token of the end, which is no text.
    assert _words.spelled(str(path))(tokens) == text


def test_a_missing_tokenizer_package_is_said(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "sentencepiece", None)
    with pytest.raises(ValueError, match=r"pip install 'shortlist\[algoperf\]'"):
        _words.spelled(str(tmp_path / "spm_model.vocab"))


def test_subsampling_as_slices_is_the_convolution():
    x, paddings = jax.random.normal(jax.random.key(0), (2, 13, 10, 3)), jnp.zeros((2, 13)).at[1, 7:].set(1)
    modules = [_speech.Conv2dSubsampling(5, jax.nn.relu, slices) for slices in (False, True)]
    params = modules[0].init(jax.random.key(1), x, paddings)
    (plain, plain_paddings), (sliced, sliced_paddings) = (m.apply(params, x, paddings) for m in modules)
    np.testing.assert_allclose(sliced, plain, atol=1e-6)
    np.testing.assert_array_equal(sliced_paddings, plain_paddings)
    assert plain.shape == (2, 7, 5, 5)


def test_sequences_are_turned_within_their_length():
    x = jnp.arange(5.0).reshape(1, 5, 1)
    assert _lstm.turned(x, jnp.array([3]))[0, :, 0].tolist() == [2, 1, 0, 4, 3]


def test_running_averages_keep_the_shape_they_come_in():
    # AlgoPerf's checkpoints have [1, 1, unit] after the first step.
    norm, x, paddings = _speech.BatchNorm(0.9), jnp.ones((2, 3, 4)), jnp.zeros((2, 3))
    variables = norm.init(jax.random.key(0), x, paddings, True)
    wide = jax.tree.map(lambda v: v.reshape(1, 1, 4), variables["batch_stats"])
    for state in (variables["batch_stats"], wide):
        of = {"params": variables["params"], "batch_stats": state}
        _, new = norm.apply(of, x, paddings, False, mutable=["batch_stats"])
        assert jax.tree.map(jnp.shape, new["batch_stats"]) == jax.tree.map(jnp.shape, state)
        assert new["batch_stats"]["mean"].ravel()[0] == pytest.approx(0.1)


@pytest.mark.parametrize("name", ["librispeech_conformer", "librispeech_deepspeech"])
def test_rows_without_weight_change_nothing(name):
    options, model = speech.narrow(name, **speech.SHALLOW[name])
    params, state = model.init(jax.random.key(0))
    measure = _words.measure(options, model)
    # Two rows are given weights of 0; how many rows there are is the same, so that one program serves both.
    padded = speech.padded(speech.batch())
    other = padded | {"inputs": jax.tree.map(lambda x: x.at[3:].set(x[:2]), padded["inputs"])}
    accumulate = jax.jit(measure.accumulate)
    of = [jax.device_get(accumulate(params, state, batch, None)) for batch in (padded, other)]
    assert measure.compute(of[0]) == pytest.approx(measure.compute(of[1]), rel=1e-6)
    assert of[0]["tokens"] == speech.batch()["targets"][1].size - speech.batch()["targets"][1].sum()
    alone = jax.device_get(jax.jit(measure.accumulate)(params, state, speech.batch(), None))
    assert measure.compute(alone) == pytest.approx(measure.compute(of[0]), rel=1e-5)
