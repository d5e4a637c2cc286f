"""Beam search on the device, with AlgoPerf's rules: a loop of fixed shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

FAR = -1e7  # the log-probability that AlgoPerf takes for impossible
BEAMS = 4
ALPHA = 0.6  # exponent of the length penalty
END = 2  # the token that ends a sentence
START = 0

# (tokens [row], position, cache) -> (logits of the next token [row, token], cache); a row is a beam of a sentence.
Step = Callable[[jax.Array, jax.Array, Any], tuple[jax.Array, Any]]


class Found(NamedTuple):
    """Sentences of the beams, the best one last.

    Attributes:
      tokens: [sentence, beam, length], beginning with START.
      scores: [sentence, beam].
    """

    tokens: jax.Array
    scores: jax.Array


class _State(NamedTuple):
    position: jax.Array  # of the tokens that the next step reads
    live: Found  # not ended yet; scores are log-probabilities
    ended: Found
    is_ended: jax.Array  # [sentence, beam]: a place of `ended` is taken
    cache: Any


def length_penalty(tokens: Any, alpha: float) -> Any:
    """((5 + tokens) / 6)^alpha, by which log-probabilities are divided (Wu et al. 2016, arXiv:1609.08144, 14)."""
    return ((5.0 + tokens) / 6.0) ** alpha


def beam_search(
    step: Step,
    cache: Any,
    sentences: int,
    length: int,
    beams: int = BEAMS,
    alpha: float = ALPHA,
    end: int = END,
) -> Found:
    """The most probable sentences, by a search that keeps so many beginnings.

    A step keeps the best 2 * beams continuations, so that beams go on if as many end at once. Beginnings that do not
    end within the length count only where a sentence has no other. The search stops when no live beam can become
    better than the worst that has ended, in any sentence.

    Args:
      step: the model.
      cache: of no tokens, for `step`: arrays [sentence * beam, ...].
      sentences: how many are decoded at once.
      length: tokens at most, START included.
      beams, alpha, end: see above.
    """
    rows = sentences * beams
    nothing = Found(
        jnp.full((sentences, beams, length), START, jnp.int32), jnp.full((sentences, beams), FAR, jnp.float32)
    )
    # All beams begin alike: only one may be gone on with.
    first = nothing._replace(scores=nothing.scores.at[:, 0].set(0.0))
    begin = _State(jnp.int32(0), first, nothing, jnp.zeros((sentences, beams), bool), cache)

    def going(state: _State) -> jax.Array:
        reachable = state.live.scores[:, -1:] / length_penalty(length, alpha)
        worst = jnp.min(state.ended.scores, axis=1, keepdims=True)
        worst = jnp.where(state.is_ended, worst, FAR)
        return (state.position < length - 1) & ~jnp.all(worst > reachable)

    def advance(state: _State) -> _State:
        position = state.position
        last = jax.lax.dynamic_index_in_dim(state.live.tokens, position, axis=2, keepdims=False)
        logits, cache = step(last.reshape(rows), position, state.cache)
        tokens = logits.shape[-1]
        scores = jax.nn.log_softmax(logits).reshape(sentences, beams, tokens) + state.live.scores[..., None]
        best, which = jax.lax.top_k(scores.reshape(sentences, beams * tokens), 2 * beams)
        beam, token = which // tokens, which % tokens
        grown = _taken(state.live.tokens, beam)
        grown = jax.lax.dynamic_update_index_in_dim(grown, token, position + 1, axis=2)
        ends = token == end

        going_on = best + ends * FAR
        kept = _best(going_on, beams)
        live = Found(_taken(grown, kept), _taken(going_on, kept))
        from_rows = (jnp.arange(sentences)[:, None] * beams + _taken(beam, kept)).reshape(rows)
        cache = jax.tree.map(lambda x: x[from_rows], cache)

        final = best / length_penalty(position + 1, alpha) + ~ends * FAR
        every = Found(
            jnp.concatenate([state.ended.tokens, grown], axis=1),
            jnp.concatenate([state.ended.scores, final], axis=1),
        )
        kept = _best(every.scores, beams)
        ended = Found(_taken(every.tokens, kept), _taken(every.scores, kept))
        is_ended = _taken(jnp.concatenate([state.is_ended, ends], axis=1), kept)
        return _State(position + 1, live, ended, is_ended, cache)

    state = jax.lax.while_loop(going, advance, begin)
    any_ended = jnp.any(state.is_ended, axis=1)
    return Found(
        jnp.where(any_ended[:, None, None], state.ended.tokens, state.live.tokens),
        jnp.where(any_ended[:, None], state.ended.scores, state.live.scores),
    )


def _best(scores: jax.Array, beams: int) -> jax.Array:
    """Where the best ones are, the best last."""
    return jnp.flip(jax.lax.top_k(scores, beams)[1], axis=1)


def _taken(values: jax.Array, beams: jax.Array) -> jax.Array:
    """Of every sentence, the beams named [sentence, beam]."""
    return jnp.take_along_axis(values, beams.reshape(*beams.shape, *(1,) * (values.ndim - 2)), axis=1)
