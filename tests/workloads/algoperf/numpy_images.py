"""ImageNet's models in float64 NumPy, to hold narrow ones against. Images are [example, row, column, channel]."""

from __future__ import annotations

import numpy as np
from scipy.special import expit


def relu(x):
    return np.maximum(x, 0.0)


def silu(x):
    return x * expit(x)


def gelu(x):
    """With the hyperbolic tangent, as Flax has it unless told otherwise."""
    return 0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3)))


def conv(kernel, x, stride=1, pads=None):
    """Correlation; pads None: SAME, whose odd zero comes last."""
    height, width = kernel.shape[:2]
    if pads is None:
        pads = []
        for size, window in zip(x.shape[1:3], (height, width), strict=True):
            total = max((-(-size // stride) - 1) * stride + window - size, 0)
            pads.append((total // 2, total - total // 2))
    x = np.pad(x, ((0, 0), *pads, (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(1, 2))
    return np.einsum("nhwcij,ijco->nhwo", windows[:, ::stride, ::stride], kernel)


def dense(layer, x):
    return x @ layer["kernel"] + layer["bias"]


class Norms:
    """Batch normalisation with running statistics, or with the batch's, which are then noted.

    Attributes:
      state: statistics by the layers' names.
      batch: whether the batch's normalise.
    """

    def __init__(self, state, batch):
        self.state, self.batch, self.new = state, batch, {}

    def __call__(self, params, path, x):
        mean, var = (_at(self.state, path)[name] for name in ("mean", "var"))
        if self.batch:
            old = mean, var
            mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
            self.new |= {
                f"{path}/{name}": 0.9 * before + 0.1 * now
                for name, before, now in zip(("mean", "var"), old, (mean, var), strict=True)
            }
        layer = _at(params, path)
        return (x - mean) / np.sqrt(var + 1e-5) * layer["scale"] + layer["bias"]


def bottleneck_resnet(params, norms, x, stages, act):
    """Logits of a residual network with bottlenecks."""
    x = conv(params["Conv_init"]["kernel"], x, 2, [(3, 3)] * 2)
    x = act(norms(params, "BatchNorm_init", x))
    x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    x = windows[:, ::2, ::2].max(axis=(-1, -2))
    number = 0
    for stage, blocks in enumerate(stages):
        for first in (True,) + (False,) * (blocks - 1):
            name = f"BottleneckResNetBlock_{number}"
            block, stride = params[name], 2 if stage and first else 1
            y = act(norms(params, f"{name}/BatchNorm_0", conv(block["Conv_0"]["kernel"], x)))
            y = act(norms(params, f"{name}/BatchNorm_1", conv(block["Conv_1"]["kernel"], y, stride)))
            y = norms(params, f"{name}/BatchNorm_2", conv(block["Conv_2"]["kernel"], y))
            if "Conv_proj" in block:
                x = norms(params, f"{name}/BatchNorm_proj", conv(block["Conv_proj"]["kernel"], x, stride))
            x = act(x + y)
            number += 1
    return dense(params["Dense_0"], x.mean(axis=(1, 2)))


def layer_norm(layer, x):
    centred = x - x.mean(axis=-1, keepdims=True)
    return (
        centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6) * layer["scale"] + layer["bias"]
    )


def attention(layer, x, memory):
    query, key, value = (
        np.einsum("btd,dhk->bthk", of, layer[name]["kernel"]) + layer[name]["bias"]
        for name, of in (("query", x), ("key", memory), ("value", memory))
    )
    scores = np.einsum("bthk,bshk->bhts", query, key) / np.sqrt(query.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    heads = np.einsum("bhts,bshk->bthk", weights, value)
    return np.einsum("bthk,hkd->btd", heads, layer["out"]["kernel"]) + layer["out"]["bias"]


def perceptron(layer, x):
    h = gelu(dense(layer["Dense_0"], x))
    if "Dense_2" in layer:
        return dense(layer["Dense_2"], h * dense(layer["Dense_1"], h))
    return dense(layer["Dense_1"], h)


def vit(params, x, positions, post_ln):
    """Logits of a vision transformer."""
    kernel = params["conv_patch_extract"]["kernel"]
    patch = kernel.shape[0]
    rows, columns = x.shape[1] // patch, x.shape[2] // patch
    patches = x.reshape(len(x), rows, patch, columns, patch, -1).transpose(0, 1, 3, 2, 4, 5)
    x = patches.reshape(len(x), rows * columns, -1) @ kernel.reshape(-1, kernel.shape[-1])
    x = x + params["conv_patch_extract"]["bias"] + positions
    encoder = params["Transformer"]
    for number in range(sum(name.startswith("encoderblock") for name in encoder)):
        block = encoder[f"encoderblock_{number}"]
        norms = block["LayerNorm_0"], block["LayerNorm_2"]
        if post_ln:
            x = layer_norm(norms[0], x + attention(block["MultiHeadDotProductAttention_1"], x, x))
            x = layer_norm(norms[1], x + perceptron(block["MlpBlock_3"], x))
        else:
            y = layer_norm(norms[0], x)
            x = x + attention(block["MultiHeadDotProductAttention_1"], y, y)
            x = x + perceptron(block["MlpBlock_3"], layer_norm(norms[1], x))
    if not post_ln:
        x = layer_norm(encoder["encoder_layernorm"], x)
    if "MAPHead_0" in params:
        head = params["MAPHead_0"]
        query = np.broadcast_to(head["probe"], (len(x), 1, x.shape[-1]))
        x = attention(head["MultiHeadDotProductAttention_0"], query, x)
        x = (x + perceptron(head["MlpBlock_0"], layer_norm(head["LayerNorm_0"], x)))[:, 0]
    else:
        x = x.mean(axis=1)
    return dense(params["head"], np.tanh(dense(params["pre_logits"], x)))


def _at(tree, path):
    for name in path.split("/"):
        tree = tree[name]
    return tree
