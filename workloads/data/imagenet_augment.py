"""RandAugment (Cubuk et al. 2020, arXiv:1909.13719) as AlgoPerf's `imagenet_vit` has it, by TensorFlow.

Sixteen operations; an image goes through two of them, drawn uniformly, at level 10 of 10. Whatever is random is an
argument of an operation. Released numbers are kept: at level 10 `solarize` has the threshold 256, which eight bits
hold as 0, so that it inverts as `invert` does, and `contrast` takes a 256th of the number of pixels for their mean.

Facts: AlgoPerf v0.6. Operations are given an image uint8 [height, width, 3] of static shape, and return one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

from workloads.data.imagenet_images import Tensor, tensorflow

LAYERS, LEVEL, HIGHEST = 2, 10, 10
GREY = 128  # fills what a moved image leaves open, and what is cut out
THRESHOLD = 128  # below which pixels are brightened by `solarize_add`
WINDOW = 40  # half a side of what `cutout` covers at the highest level
SHIFT = 100  # pixels that `translate_x` and `translate_y` shift by at the highest level


class Chance(NamedTuple):
    """What is random in an operation.

    Attributes:
      sign: 1 or -1, of turning, shearing and shifting.
      centre: [row, column] of what is cut out.
    """

    sign: Tensor
    centre: Tensor


Operation = Callable[
    [Tensor, float, Chance], Tensor
]  # (image, level as a share of the highest, chance) -> image


def augmented(image: Tensor, seed: Tensor, layers: int = LAYERS, level: int = LEVEL) -> Tensor:
    """An image after random operations.

    Args:
      image: see the module's text.
      seed: [2].
      layers: operations, one after the other.
      level: of all of them.
    """
    tf = tensorflow()
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
    which = tf.random.stateless_uniform([layers], seeds[0], 0, len(OPERATIONS), tf.int32)
    positive = tf.random.stateless_uniform([layers], seeds[1], 0, 2, tf.int32)
    height, width = image.shape[:2]
    rows = tf.random.stateless_uniform([layers], seeds[2], 0, height, tf.int32)
    columns = tf.random.stateless_uniform([layers], seeds[3], 0, width, tf.int32)
    for layer in range(layers):
        sign = tf.cast(2 * positive[layer] - 1, tf.float32)
        chance = Chance(sign, tf.stack([rows[layer], columns[layer]]))
        branches = [
            functools.partial(operation, image, level / HIGHEST, chance) for operation in OPERATIONS.values()
        ]
        image = tf.ensure_shape(tf.switch_case(which[layer], branches), [height, width, 3])
    return image


def _autocontrast(image, level, chance):
    """Every colour stretched from its darkest and brightest pixel to 0..255."""
    del level, chance
    tf = tensorflow()
    pixels = tf.cast(image, tf.float32)
    low, high = (reduce(pixels, axis=(0, 1)) for reduce in (tf.reduce_min, tf.reduce_max))
    scale = 255.0 / (high - low)
    return tf.where(high > low, _bytes(pixels * scale + -low * scale), image)


def _equalize(image, level, chance):
    """Every colour mapped so that its histogram is nearly flat; a colour of few values stays."""
    del level, chance
    tf = tensorflow()

    def one(channel):
        counts = tf.histogram_fixed_width(channel, [0, 255], nbins=256)
        brightest = tf.boolean_mask(counts, counts > 0)[-1]
        step = (tf.reduce_sum(counts) - brightest) // 255
        safe = tf.maximum(step, 1)
        below = tf.cumsum(counts, exclusive=True)
        # What is darkest becomes 0: no half step is added to it.
        table = tf.where(tf.range(256) > 0, (below + safe // 2) // safe, 0)
        return tf.where(step > 0, tf.gather(tf.clip_by_value(table, 0, 255), channel), channel)

    channels = tf.unstack(tf.cast(image, tf.int32), axis=-1)
    return tf.cast(tf.stack([one(channel) for channel in channels], axis=-1), tf.uint8)


def _invert(image, level, chance):
    del level, chance
    return 255 - image


def _posterize(image, level, chance):
    """The leading bits of every pixel: four at the highest level."""
    del chance
    tf = tensorflow()
    dropped = tf.constant(8 - int(4 * level), tf.uint8)
    return tf.bitwise.left_shift(tf.bitwise.right_shift(image, dropped), dropped)


def _solarize(image, level, chance):
    """Pixels from a threshold on are inverted; of 256, eight bits keep 0."""
    del chance
    tf = tensorflow()
    return tf.where(image < int(256 * level) % 256, image, 255 - image)


def _solarize_add(image, level, chance):
    """Dark pixels become brighter, by 110 at the highest level."""
    del chance
    tf = tensorflow()
    brighter = tf.minimum(tf.cast(image, tf.int32) + int(110 * level), 255)
    return tf.where(image < THRESHOLD, tf.cast(brighter, tf.uint8), image)


def _color(image, level, chance):
    """Away from grey, or towards it."""
    del chance
    tf = tensorflow()
    grey = tf.image.rgb_to_grayscale(image)
    return _between(tf.broadcast_to(grey, image.shape), image, level)


def _contrast(image, level, chance):
    """Away from a mean, for which a 256th of the number of pixels is taken: 196 of 224x224."""
    del chance
    tf = tensorflow()
    mean = min(image.shape[0] * image.shape[1] / 256.0, 255.0)
    return _between(tf.fill(image.shape, tf.constant(int(mean), tf.uint8)), image, level)


def _brightness(image, level, chance):
    """Away from black."""
    del chance
    return _between(tensorflow().zeros_like(image), image, level)


def _sharpness(image, level, chance):
    """Away from a blurred image, whose border is that of the image."""
    del chance
    tf = tensorflow()
    kernel = tf.constant([[1.0, 1.0, 1.0], [1.0, 5.0, 1.0], [1.0, 1.0, 1.0]]) / 13.0
    inner = tf.nn.depthwise_conv2d(
        tf.cast(image, tf.float32)[None],
        tf.tile(kernel[:, :, None, None], [1, 1, 3, 1]),
        strides=[1, 1, 1, 1],
        padding="VALID",
    )[0]
    rows = tf.concat([image[1:-1, :1], _bytes(inner), image[1:-1, -1:]], axis=1)
    blurred = tf.concat([image[:1], rows, image[-1:]], axis=0)
    return _between(blurred, image, level)


def _rotate(image, level, chance):
    """By 30 degrees at the highest level, about the middle."""
    tf = tensorflow()
    angle = chance.sign * (30.0 * level) * (math.pi / 180.0)
    cos, sin = tf.cos(angle), tf.sin(angle)
    bottom, right = (float(size - 1) for size in image.shape[:2])
    x = (right - (cos * right - sin * bottom)) / 2.0
    y = (bottom - (sin * right + cos * bottom)) / 2.0
    return _moved(image, [cos, -sin, x, sin, cos, y])


def _shear_x(image, level, chance):
    return _moved(image, [1.0, chance.sign * (0.3 * level), 0.0, 0.0, 1.0, 0.0])


def _shear_y(image, level, chance):
    return _moved(image, [1.0, 0.0, 0.0, chance.sign * (0.3 * level), 1.0, 0.0])


def _translate_x(image, level, chance):
    return _moved(image, [1.0, 0.0, chance.sign * (SHIFT * level), 0.0, 1.0, 0.0])


def _translate_y(image, level, chance):
    return _moved(image, [1.0, 0.0, 0.0, 0.0, 1.0, chance.sign * (SHIFT * level)])


def _cutout(image, level, chance):
    """A grey square about the centre, of up to 80 pixels a side."""
    tf = tensorflow()
    half = int(WINDOW * level)
    inside = [
        (place >= chance.centre[axis] - half) & (place < chance.centre[axis] + half)
        for axis, place in enumerate((tf.range(image.shape[0])[:, None], tf.range(image.shape[1])[None]))
    ]
    return tf.where((inside[0] & inside[1])[..., None], tf.constant(GREY, tf.uint8), image)


OPERATIONS: dict[str, Operation] = {
    "autocontrast": _autocontrast,
    "equalize": _equalize,
    "invert": _invert,
    "rotate": _rotate,
    "posterize": _posterize,
    "solarize": _solarize,
    "color": _color,
    "contrast": _contrast,
    "brightness": _brightness,
    "sharpness": _sharpness,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "cutout": _cutout,
    "solarize_add": _solarize_add,
}


def _between(one, other, level):
    """one + f * (other - one), clipped, with f from 0.1 to 1.9 by the level: 1 is the other."""
    tf = tensorflow()
    factor = 1.8 * level + 0.1
    one, other = (tf.cast(image, tf.float32) for image in (one, other))
    return _bytes(one + factor * (other - one))


def _bytes(pixels):
    """Clipped to 0..255; fractions are dropped."""
    tf = tensorflow()
    return tf.cast(tf.clip_by_value(pixels, 0.0, 255.0), tf.uint8)


def _moved(image, matrix):
    """Output (x, y) is the pixel nearest to (a x + b y + c, d x + e y + f), grey where there is none."""
    tf = tensorflow()
    height, width = image.shape[:2]
    there = tf.ones([height, width, 1], tf.uint8)  # moved along, it tells where the image is
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.concat([image, there], axis=-1)[None],
        transforms=tf.stack([*(tf.cast(entry, tf.float32) for entry in matrix), 0.0, 0.0])[None],
        output_shape=[height, width],
        interpolation="NEAREST",
        fill_mode="CONSTANT",
        fill_value=0.0,
    )[0]
    return tf.where(moved[..., 3:] == 0, tf.constant(GREY, tf.uint8), moved[..., :3])
