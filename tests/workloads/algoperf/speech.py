"""What the tests of both speech models share: narrow models, and AlgoPerf's with its noise switched off."""

from __future__ import annotations

import dataclasses
import importlib

import jax
import jax.numpy as jnp
import numpy as np

import workloads
from tests.workloads.algoperf import golden
from workloads.algoperf import _ctc, _words
from workloads.algoperf._log_mel import Bands

NARROW = {
    "vocabulary": 11,
    "dim": 16,
    "channels": 4,
    "bands": Bands(8_000, 200, 160, 16, 100.0, 3_900.0, (0.0, 3.0)),
}
SHALLOW = {
    "librispeech_conformer": {"layers": 1, "heads": 2},
    "librispeech_deepspeech": {"recurrent": 1, "dense": 1},
}


def base(name):
    """The table of a base workload."""
    return importlib.import_module(f"workloads.algoperf.{name}").BASE


def narrow(name, **options):
    """(options, model) of a base workload, a thousandth as large."""
    table = base(name)
    made = dataclasses.replace(table.options, **{**NARROW, **options})
    return made, table.model(made)


def batch(examples=3, samples=8_000, tokens=5, seed=0):
    """Noise of several lengths, and made-up tokens."""
    random = np.random.default_rng(seed)
    lengths = np.linspace(samples, samples // 2, examples).astype(int)
    paddings = (np.arange(samples) >= lengths[:, None]).astype(np.float32)
    audio = np.rint(1000 * random.standard_normal((examples, samples))).astype(np.float32) * (1 - paddings)
    counts = np.linspace(tokens, 1, examples).astype(int)
    no_tokens = (np.arange(tokens) >= counts[:, None]).astype(np.float32)
    ids = random.integers(1, 11, (examples, tokens)) * (1 - no_tokens)
    return {
        "inputs": (jnp.asarray(audio), jnp.asarray(paddings)),
        "targets": (jnp.asarray(ids, jnp.float32), jnp.asarray(no_tokens)),
    }


def padded(of):
    """The same batch with two rows more that count nothing: silence, and noise with tokens."""
    (audio, paddings), (ids, no_tokens) = of["inputs"], of["targets"]
    more = lambda x, *rows: jnp.concatenate([x, *(jnp.full((1, *x.shape[1:]), row) for row in rows)])  # noqa: E731
    return {
        "inputs": (more(audio, 0.0, 100.0), more(paddings, 1.0, 0.0)),
        "targets": (more(ids, 0.0, 1.0), more(no_tokens, 1.0, 0.0)),
        "weights": jnp.concatenate([jnp.ones(len(audio)), jnp.zeros(2)]),
    }


def without_noise(name):
    """The workload at full scale as the golden files were made: no masks, and no dropout that no argument reaches."""
    table = base(name)
    off = {"masking": None} | (
        {"residual_dropout": None} if hasattr(table.options, "residual_dropout") else {}
    )
    model = table.model(dataclasses.replace(table.options, **off))
    return dataclasses.replace(workloads.load(f"algoperf/{name}"), model_fn=model.model_fn)


def check_logits(name, tolerance):
    """Logits in evaluation, and what is heard in them, are AlgoPerf's: the quick part of the parity."""
    table = base(name)
    options = dataclasses.replace(table.options, spelling=str(golden.FOLDER / "spm_1024.model"))
    model = table.model(options)
    params, state, of = golden.params(name), golden.state(name), golden.batch(name, "eval")
    evaluate = jax.jit(lambda *args: model.model_fn(*args, None, False, False, None, 0.0)[0])
    outputs = evaluate(params, state, of)
    found = golden.compared(name, {"eval/logits": outputs[0], "eval/logits_paddings": outputs[1]})
    assert found["eval/logits"]["max_abs"] < tolerance
    assert found["eval/logits_paddings"]["max_abs"] == 0
    return options, outputs


def check_heard(name, options, outputs):
    """Word errors of what is heard are AlgoPerf's, with the pieces of its made-up tokenizer."""
    tokens, paddings = golden.batch(name, "eval")["targets"]
    totals = {
        "loss": 0.0,
        "tokens": 1.0,
        "said": np.where(paddings > 0, 0, tokens).astype(int),
        "heard": np.asarray(_ctc.decoded(*outputs)),
        "counts": np.ones(len(tokens), bool),
    }
    scalars = golden.scalars(name)
    of = {what: scalars[f"metrics/wer/hyp_model/{what}"] for what in ("word_errors", "num_words")}
    rates = _words.rates(totals, _words.spelled(options.spelling))
    assert rates["wer"] == of["word_errors"] / of["num_words"]


def leaves(name, **options):
    """Kind of leaf -> values of all leaves of that kind at the start, [value], of a narrow model of 64 units."""
    _, model = narrow(name, dim=64, **SHALLOW[name], **options)
    return golden.flat(model.init(jax.random.key(0))[0])


def xavier(fan_in, fan_out):
    """Bound of the uniform distribution."""
    return np.sqrt(6 / (fan_in + fan_out))
