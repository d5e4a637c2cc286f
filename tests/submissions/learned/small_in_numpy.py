"""MLPLOpt, AdafacMLPLOpt, STAR and NNAdam, one tensor after the other, in float64 and as the words about them say.

Nothing here is shared with what is tested: features are one matrix [element, feature], layers are products of it.
"""

from __future__ import annotations

import numpy as np

TIMES = np.array([1, 3, 10, 30, 100, 300, 1000, 3000, 1e4, 3e4, 1e5])


def of_size(columns):
    """Columns [element, feature], each by its size."""
    return columns / np.sqrt(1e-5 + np.mean(columns**2, 0))


def with_time(columns, t):
    time = np.tanh(t / TIMES - 1)
    return np.concatenate([columns, np.tile(time, (len(columns), 1))], 1)


def network(x, layers):
    for number, (w, b) in enumerate(layers):
        x = x @ w + b
        if number < len(layers) - 1:
            x = np.maximum(x, 0)
    return x


def mlp_lopt(weights, t, g, p, memory, step_mult=0.001, exp_mult=0.001):
    """p after update t of one tensor; memory is its own."""
    columns = [g.ravel(), p.ravel()]
    for d in (0.1, 0.5, 0.9, 0.99, 0.999, 0.9999):
        memory[d] = d * memory.get(d, 0 * g) + (1 - d) * g
        columns.append(memory[d].ravel())
    layers = [
        (weights[f"mlp/~/linear_{i}"]["w"], weights[f"mlp/~/linear_{i}"]["b"]) for i in range(len(weights))
    ]
    out = network(with_time(of_size(np.stack(columns, 1)), t), layers)
    return p - (step_mult * out[:, 0] * np.exp(exp_mult * out[:, 1])).reshape(p.shape)


def _root(x):
    return 1 / np.sqrt(np.maximum(x, 1e-9))


def adafac_outputs(weights, t, g, p, memory, switches):
    """(what the network says [element, output], the columns it read, m per decay, r) of one tensor."""
    start = {
        "momentum_decays": (0.9, 0.99, 0.999),
        "rms_decays": (0.999,),
        "adafactor_decays": (0.9, 0.99, 0.999),
    }
    decays = {k: 1 - (1 - np.array(v)) * np.exp(10 * weights[k]) for k, v in start.items()}
    if switches.get("clip_momentum_decays"):
        decays["momentum_decays"] = np.clip(decays["momentum_decays"], 0, 1)
    for k in ("rms_decays", "adafactor_decays"):
        decays[k] = np.clip(decays[k], 0, 1)

    def mean(name, d, x):
        memory[name] = d * memory.get(name, 0) + (1 - d) * x
        return memory[name]

    m = [mean(f"m{i}", d, g) for i, d in enumerate(decays["momentum_decays"])]
    rms = mean("rms", decays["rms_decays"][0], g**2)
    r = 1 / np.sqrt(rms + 1e-6)
    rows, cols, g_factored, m_factored = [], [], [], []
    for i, d in enumerate(decays["adafactor_decays"]):
        if g.ndim < 2:
            v = mean(f"v{i}", d, g**2 + 1e-30)
            rows.append(v)
            cols.append(v)
            g_factored.append(g * _root(v + 1e-9))
            m_factored.append(m[i] / np.sqrt(v + switches.get("unfactored_epsilon", 1e-6)))
            continue
        order = sorted(range(g.ndim), key=lambda axis: (g.shape[axis], axis))
        d1, d0 = order[-2:]
        row = mean(f"row{i}", d, (g**2 + 1e-30).mean(d0, keepdims=True))
        col = mean(f"col{i}", d, (g**2 + 1e-30).mean(d1, keepdims=True))
        scale = _root(row / (row.mean(d1, keepdims=True) + 1e-9)) * _root(col)
        rows.append(np.broadcast_to(row, g.shape))
        cols.append(np.broadcast_to(col, g.shape))
        g_factored.append(g * scale)
        m_factored.append(m[i] * scale)
    columns = [g, p, *m, rms, *(x * r for x in m), r, *g_factored, *rows, *cols]
    columns += [1 / np.sqrt(x + 1e-8) for x in (*rows, *cols)] + m_factored
    of_network = weights["nn"]["~"]
    layers = []
    for i in range(len(of_network) // 2):
        w = np.asarray(of_network[f"w{i}"], np.float64)
        if switches.get("split_weights"):
            # Number k of the flat weights belongs to input k mod inputs.
            split = np.empty_like(w)
            for k, value in enumerate(w.ravel()):
                split[k % len(w), k // len(w)] = value
            w = split
        layers.append((w, of_network[f"b{i}"]))
    out = network(with_time(of_size(np.stack([x.ravel() for x in columns], 1)), t), layers)
    return [x.reshape(g.shape) for x in out.T], m, r


def adafac_mlp_lopt(weights, t, g, p, memory, step_mult=0.001, exp_mult=0.001, **switches):
    (direction, magnitude), _, _ = adafac_outputs(weights, t, g, p, memory, switches)
    return p - step_mult * direction * np.exp(exp_mult * magnitude)


def star(weights, t, g, p, memory, step_mult=0.001, exp_mult=(0.001, 0.001, 0.001), **switches):
    on = switches.get
    (d, s, n, w), m, r = adafac_outputs(weights, t, g, p, memory, switches)
    if not on("nominal_controller"):
        n = np.ones_like(n)
    if not on("regularization_controller"):
        w = np.zeros_like(w)
    s = s.mean() if on("aggregate_magnitude") else s
    n = n.mean() if on("aggregate_nom_magnitude") else n
    w = w.mean() if on("aggregate_reg_magnitude") else w
    estimate = {
        "AdamAggMo": sum(x * r for x in m) / 3,
        "Adam": m[2] * r,
        "AggMo": sum(m) / 3,
        "SGDM": m[2],
        "SGD": g,
    }[on("nominal_grad_estimator", "AdamAggMo")]
    step = step_mult * d * np.exp(exp_mult[0] * s)
    step = step * r if on("normalize_blackbox") else step
    step = step * g.mean() if on("selfnormalize_blackbox") else step
    kept = 1 - on("weight_decay", 0) * np.exp(exp_mult[2] * w)
    return kept * p - step - on("nominal_stepsize", 0) * np.exp(exp_mult[1] * n) * estimate


def _log(x):
    return 0.5 * np.clip(np.log(1e-8 + np.abs(x)), -5, 5)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def nn_adam(weights, t, g, p, memory, output_scale=0.01, decay_strength=0.0, hyperparameters_act_late=True):
    names = ("lr", "beta1", "beta2", "epsilon")
    start = {k: float(weights[f"per_layer_{k}"]) for k in names}
    logs = memory.setdefault("logs", dict(start))

    def values():
        beta = {k: 1 - np.exp(np.clip(10 * logs[k], -10, 0)) for k in ("beta1", "beta2")}
        lr, epsilon = np.exp(10 * logs["lr"]), np.exp(10 * logs["epsilon"])
        return {"lr": np.clip(lr, 1e-8, 1e3), "epsilon": np.clip(epsilon, 1e-11, 1e4), **beta}

    def moments(hp, of):
        m, rms = of
        return hp["beta1"] * m + (1 - hp["beta1"]) * g, hp["beta2"] * rms + (1 - hp["beta2"]) * g**2

    g = np.clip(g, -1000, 1000)
    before, hp = memory.setdefault("moments", (0 * g, 0 * g)), values()
    m, rms = moments(hp, before)
    features = {
        "is_scalar": 1.0 if g.ndim == 0 else -1.0,
        "is_bias": 1.0 if g.ndim == 1 else -1.0,
        "mean_gabs": _log(np.abs(g).mean()),
        "mean_sign": np.sign(rms.mean()),
        "mean_rms": _log(rms.mean()),
        **{k: 0.2 * np.clip(logs[k], -5, 5) for k in names},
        **{f"var_{k}": _log(x.var()) for k, x in {"g": g, "m": m, "p": p, "rms": rms}.items()},
    }
    for k, x in {"g": g, "m": m, "p": p}.items():
        features |= {f"mean_{k}_mag": _log(x.mean()), f"mean_{k}_sign": np.sign(x.mean())}
    order = sorted(features)
    order.insert(
        order.index("mean_g_sign") + 1, order.pop(order.index("mean_gabs"))
    )  # whose full name ends in _mag
    x = np.array([features[k] for k in order])
    h, c = memory.setdefault(
        "lstm", [np.asarray(weights["lstm_init_state"][k][0], float) for k in ("hidden", "cell")]
    )
    layer = weights["rnn_params"]["rnn/linear"]
    i, j, f, o = np.split(np.concatenate([x, h]) @ layer["w"] + layer["b"], 4)
    c = _sigmoid(f + 1) * c + _sigmoid(i) * np.tanh(j)
    h = _sigmoid(o) * np.tanh(c)
    memory["lstm"], memory["x"] = [h, c], x
    layer = weights["rnn_to_controls_params"]["rnn_to_controls"]
    for k, control in zip(names, h @ layer["w"] + layer["b"], strict=True):
        logs[k] += output_scale * control
        logs[k] -= decay_strength * (logs[k] - start[k])
    new = values()
    logs |= {k: 0.1 * np.log(1 - new[k] if "beta" in k else new[k]) for k in names}
    if not hyperparameters_act_late:
        hp = new
        m, rms = moments(hp, before)
    memory["moments"] = m, rms
    return p - hp["lr"] * (1 + hp["epsilon"]) / (hp["epsilon"] + np.sqrt(rms + 1e-10)) * m
