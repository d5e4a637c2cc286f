"""VeLO, Celo and Celo-Adam again, in NumPy and float64, a tensor at a time: what ours are held against.

Written from a description of the originals, with their layout (decays last, row and column moments without the reduced
axis), and not from our code.
"""

from __future__ import annotations

import numpy as np

TAU = np.array([0.03, 0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1])
DECAYS = np.array([0.9, 0.99, 0.999])


class Losses:
    def __init__(self, horizon):
        self.decay = np.exp(-1 / np.logspace(1, np.log10(horizon), 10))
        self.means, self.least, self.n = np.zeros(10), np.full(10, 999999999999.0), 0

    def add(self, loss):
        corrected = self.means / (1 - self.decay ** (self.n + 1))
        cap = loss if self.n == 0 else corrected.max()
        loss = min(2 * abs(cap), loss)
        self.means = self.decay * self.means + (1 - self.decay) * loss
        self.n += 1
        self.least = np.minimum(self.least, self.means / (1 - self.decay**self.n))

    def features(self):
        if self.n <= 2:
            return np.zeros(9)
        mean = self.means / (1 - self.decay**self.n)
        over = np.maximum(1e-8, mean[1:] - self.least[:-1])
        return np.clip((mean[:-1] - self.least[:-1]) / over - 1, -1, 1)


class Lstm:
    def __init__(self, weights, tensors):
        self.w = {name: _float64(layer) for name, layer in weights["rnn_params"].items()}
        first = _float64(weights["lstm_init_state"])
        self.h = np.repeat(first["hidden"], tensors, 0)
        self.c = np.repeat(first["cell"], tensors, 0)

    def layer(self, name, x):
        return x @ self.w[name]["w"] + self.w[name]["b"]

    def step(self, x):
        y = self.layer("linear_2", x) + np.maximum(self.layer("linear_1", x), 0).max(0)
        i, g, f, o = np.split(self.layer("rnn/linear", np.concatenate([y, self.h], 1)), 4, 1)
        self.c = _sigmoid(f + 1) * self.c + _sigmoid(i) * np.tanh(g)
        self.h = _sigmoid(o) * np.tanh(self.c)


class _Tensor:
    """One tensor and its accumulators."""

    def __init__(self, p):
        self.p = np.array(p, np.float64)
        shape = self.p.shape
        self.m, self.rms = np.zeros((*shape, 3)), np.zeros(shape)
        self.adam_m, self.adam_v = np.zeros(shape), np.zeros(shape)
        self.axes = None
        if self.p.ndim >= 2:
            self.axes = tuple(sorted(range(self.p.ndim), key=lambda axis: (shape[axis], axis))[-2:])
            second, first = self.axes
            self.row = np.zeros((*np.delete(shape, first), 3))
            self.col = np.zeros((*np.delete(shape, second), 3))
        else:
            self.v = np.zeros((*shape, 3))

    def statistics(self, var_rms_uses_mean_m):
        q = 1 / np.sqrt(max(1e-9, np.mean(self.p**2)))
        axes = tuple(range(self.p.ndim))
        m, rms = q * self.m, q * self.rms
        mean_m = m.mean(axes)
        var_m = ((m - mean_m) ** 2).mean(axes)
        about = mean_m if var_rms_uses_mean_m else np.full(3, rms.mean())
        var_rms = ((rms[..., None] - about) ** 2).mean(axes)
        rank = np.zeros(5)
        big = sum(n > 1 for n in self.p.shape)
        if big < 5:
            rank[big] = 1
        return np.concatenate([_log([rms.mean()]), rank, _log(var_m), _log(var_rms)])

    def add(self, g):
        self.m = DECAYS * self.m + (1 - DECAYS) * g[..., None]
        self.rms = 0.999 * self.rms + 0.001 * g**2
        squares = g[..., None] ** 2 + 1e-30
        if self.axes:
            second, first = self.axes
            self.row = DECAYS * self.row + (1 - DECAYS) * squares.mean(first)
            self.col = DECAYS * self.col + (1 - DECAYS) * squares.mean(second)
        else:
            self.v = DECAYS * self.v + (1 - DECAYS) * squares

    def network(self, w, g):
        shape = self.p.shape
        p, m, rms = self.p[..., None], self.m, self.rms[..., None]
        g = g[..., None]
        if self.axes:
            second, first = self.axes
            of_mean = second - 1 if second > first else second
            mean = self.row.mean(of_mean, keepdims=True)
            r = 1 / np.sqrt(np.maximum(1e-9, self.row / (mean + 1e-9)))
            c = 1 / np.sqrt(np.maximum(1e-9, self.col))
            factor = np.expand_dims(r, first) * np.expand_dims(c, second)
            factored_g, factored_m = g * factor, m * factor
            row = np.repeat(np.expand_dims(self.row, first), shape[first], first)
            col = np.repeat(np.expand_dims(self.col, second), shape[second], second)
        else:
            factored_g = g / np.sqrt(np.maximum(1e-9, self.v + 1e-9))
            row = col = self.v
            factored_m = m * self.v**-0.5
        q = 1 / np.sqrt(rms + 1e-6)
        groups = [
            g, np.clip(g, -0.1, 0.1), p, m, rms, m * q, q, factored_g, g * q, row, col,
            1 / np.sqrt(row + 1e-8), 1 / np.sqrt(col + 1e-8), factored_m,
        ]  # fmt: skip
        x = np.concatenate(groups, -1).reshape(-1, 30)
        x = x / np.sqrt(1e-5 + np.mean(x**2, 0))
        w0 = np.concatenate([w[f"w0__{i}"] for i in range(14)])
        x = np.maximum(x @ w0 + w["b0"], 0)
        x = np.maximum(x @ w["w1"] + w["b1"], 0)
        d, s, _ = np.moveaxis(x @ w["w2"] + w["b2"], 1, 0)
        size = np.sqrt(np.mean(self.p**2) + 1e-9)
        return (0.001 * d * np.exp(0.001 * s) * size).reshape(shape)


class InNumpy:
    """An optimizer that holds parameters by name; `kind` is velo, celo or celo_adam."""

    def __init__(
        self, kind, weights, params, horizon, var_rms_uses_mean_m=True, loss_horizon=None, forgets=False
    ):
        self.kind, self.horizon, self.t = kind, horizon, 0
        self.uses_mean_m, self.forgets = var_rms_uses_mean_m, forgets
        self.tensors = {name: _Tensor(p) for name, p in params.items()}
        self.losses = Losses(loss_horizon or horizon)
        self.weights, self.lstm = weights, Lstm(weights, len(params))
        self.bank = _float64(weights["ff_mod_stack"]["~"]) if "ff_mod_stack" in weights else {}

    @property
    def p(self):
        return {name: tensor.p for name, tensor in self.tensors.items()}

    def step(self, grads, loss):
        self.losses.add(float(loss))
        shared = np.concatenate([np.tanh(10 * (self.t / self.horizon - TAU)), self.losses.features()])
        rows = [
            np.concatenate([shared, tensor.statistics(self.uses_mean_m)]) if self.kind == "velo" else shared
            for tensor in self.tensors.values()
        ]
        before = self.lstm.h, self.lstm.c
        self.lstm.step(np.array(rows))
        h = self.lstm.h
        if self.forgets:
            self.lstm.h, self.lstm.c = before
        rates = self.lstm.layer("step_size", h)[:, 0]
        if self.kind != "velo":
            rates = 0.1 * np.exp(rates)
        for k, (name, tensor) in enumerate(self.tensors.items()):
            g = np.clip(np.asarray(grads[name], np.float64), -1000, 1000)
            tensor.add(g)
            if self.kind == "celo_adam":
                tensor.adam_m = 0.9 * tensor.adam_m + 0.1 * g
                tensor.adam_v = 0.999 * tensor.adam_v + 0.001 * g**2
                m, v = tensor.adam_m / (1 - 0.9 ** (self.t + 1)), tensor.adam_v / (1 - 0.999 ** (self.t + 1))
                tensor.p = tensor.p - 0.001 * rates[k] * m / (1e-8 + np.sqrt(v + 1e-10))
                continue
            if self.kind == "velo":
                controls = self.lstm.layer("rnn_to_controls", h)[k]
                w = {
                    n: 100 * np.mean(controls.reshape(-1, *[1] * (x.ndim - 1)) * x, 0)
                    for n, x in self.bank.items()
                }
            else:
                w = {n: x[0] for n, x in self.bank.items()}
            tensor.p = tensor.p - rates[k] * tensor.network(w, g)
        self.t += 1


def _float64(tree):
    return {name: np.asarray(x, np.float64) for name, x in tree.items()}


def _log(x):
    return 0.5 * np.clip(np.log(1e-8 + np.abs(10 * np.asarray(x))), -5, 5)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))
