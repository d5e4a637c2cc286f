"""The hierarchical optimizer again, in NumPy and float64, a tensor at a time: what ours is held against.

Written from the paper's description and the facts on the original, not from our code.
"""

from __future__ import annotations

import numpy as np

DECAYS = np.array([0.5, 0.9, 0.99, 0.999, 0.9999])
TIMES = np.array([1, 3, 10, 30, 100, 300, 1e3, 3e3, 1e4, 3e4, 1e5])


class InNumpy:
    """An optimizer that holds parameters by name, in the order in which they are given."""

    def __init__(self, weights, params):
        self.weights = {path: np.asarray(leaf, np.float64) for path, leaf in _flat(weights).items()}
        self.p = {name: np.array(x, np.float64) for name, x in params.items()}
        self.m = {name: np.zeros((*x.shape, 5)) for name, x in self.p.items()}
        self.r = {name: np.zeros((*x.shape, 5)) for name, x in self.p.items()}
        of = self.weights
        self.h = dict.fromkeys(self.p, of["lstm_init_state", "hidden"][0])
        self.c = dict.fromkeys(self.p, of["lstm_init_state", "cell"][0])
        self.up = dict.fromkeys(self.p, of["initial_from_mlp",])
        self.common = of["initial_from_lstm",]
        self.time, self.k, self.a = 0, 1.0, 0.01
        self.train, self.valid = [0.0, 0.0, 0], [0.0, 0.0, 0]
        self.lstm_inputs = {}

    def validate(self, loss):
        self.time += 1
        _average(self.valid, loss, 0.95)

    def step(self, grads, loss):
        _average(self.train, loss, 0.9)
        mean, var = (x / (1 - 0.9 ** self.train[2] + 1e-8) for x in self.train[:2])
        validation = self.valid[0] / (1 - 0.95 ** self.valid[2] + 1e-8)
        of_losses = [np.clip((x - mean) / np.sqrt(var + 1e-8), -5, 5) for x in (loss, validation)]
        bound = 10 * self.a / (1 - 0.99**self.k)
        g = {name: np.clip(np.asarray(x, np.float64), -bound, bound) for name, x in grads.items()}
        self.a = 0.99 * self.a + 0.01 * np.sqrt(1e-8 + np.mean([np.mean(x**2) for x in g.values()]))
        self.k += 1
        common, said = [], {}
        for name, v in self.p.items():
            self.m[name] = DECAYS * self.m[name] + (1 - DECAYS) * g[name][..., None]
            self.r[name] = DECAYS * self.r[name] + (1 - DECAYS) * g[name][..., None] ** 2
            m, r = self.m[name], self.r[name]
            own = [
                _log(np.sqrt(np.sum(g[name] ** 2))), 1.0 if v.ndim == 0 else -1.0,
                _log(m.mean()), np.sign(m.mean()), _log(r.mean()), np.sign(r.mean()),
                _log(v.mean()), np.sign(v.mean()), _log(np.sqrt(np.sum(v**2))),
                *[np.log(n) - 1 for n in (*v.shape, 1, 1, 1, 1)[:4]],
                *of_losses, _log(m.var()), _log(r.var()), _log(v.var()),
            ]  # fmt: skip
            x = np.concatenate([self.common, self.up[name], own])
            self.lstm_inputs[name] = x
            gates = self._layer("rnn_params", "rnn/linear", np.concatenate([x, self.h[name]]))
            i, new, f, o = np.split(gates, 4)
            self.c[name] = _sigmoid(f + 1) * self.c[name] + _sigmoid(i) * np.tanh(new)
            self.h[name] = _sigmoid(o) * np.tanh(self.c[name])
            common.append(self._layer("rnn_to_in_params", "rnn_to_in", self.h[name]))
            said[name] = self._layer("rnn_to_ff_params", "rnn_to_ff", self.h[name])
        self.common = np.mean(common, axis=0)
        for name, v in self.p.items():
            rows = []
            m, r = self.m[name].reshape(-1, 5), self.r[name].reshape(-1, 5)
            for one, gradient, of_m, of_r in zip(v.ravel(), g[name].ravel(), m, r, strict=True):
                scale = 1 / np.sqrt(of_r + 1e-6)
                rows.append([gradient, one, np.log(abs(one) + 1e-8), *of_m, *of_r, *of_m * scale, *scale])
            features = np.array(rows)
            features /= np.sqrt(1e-5 + np.mean(features**2, axis=0))
            shared = [
                *np.sin(self.time / (np.pi * TIMES)), np.log(len(self.p)) - 1,
                np.log(np.sqrt(np.sum(v**2)) + 1e-8), np.log(v.size), *said[name],
            ]  # fmt: skip
            out = []
            for row in features:
                x = np.concatenate([row, shared])
                for number in range(3):
                    x = self._layer("ffmod_params", f"mlp/~/linear_{number}", x)
                    x = np.maximum(x, 0) if number < 2 else x
                out.append(x)
            out = np.array(out)
            self.up[name] = out[:, 2:].mean(axis=0)
            self.p[name] = v - (0.001 * out[:, 0] * np.exp(0.001 * out[:, 1])).reshape(v.shape)
        self.time += 1

    def _layer(self, part, name, x):
        return x @ self.weights[part, name, "w"] + self.weights[part, name, "b"]


def _average(state, loss, decay):
    state[0] = decay * state[0] + (1 - decay) * loss
    state[1] = decay * state[1] + (1 - decay) * (state[0] - loss) ** 2
    state[2] += 1


def _log(x):
    return np.clip(np.log(1e-8 + abs(x)), -5, 5)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _flat(tree, path=()):
    if not isinstance(tree, dict):
        return {path: tree}
    return {at: leaf for name, part in tree.items() for at, leaf in _flat(part, (*path, name)).items()}
