"""ImageNet's pictures as AlgoPerf's models see them: cut, resized, flipped, normalised and mixed by TensorFlow.

Facts: AlgoPerf v0.6, `imagenet_resnet` and `imagenet_vit`, whose numbers depend on TensorFlow's own decoder and
bicubic resize (Keys' kernel with a = -1/2, half-pixel centres, no smoothing). Random numbers come from a seed by
TensorFlow's stateless generators, so that equal seeds give AlgoPerf's boxes, flips and weights. Needs the extra
`shortlist[images]`.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
from typing import Any

Tensor = Any  # of TensorFlow, which is not imported to say so

SIDE, RESIZED = (
    224,
    256,
)  # evaluation keeps 224/256 of the shorter side, whatever the size of the model's images
MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
DEVIATION = (0.229 * 255, 0.224 * 255, 0.225 * 255)
AREA, ASPECT = (0.08, 1.0), (0.75, 4.0 / 3.0)  # of a training crop
ATTEMPTS = 10  # at such a crop, after which it is the whole picture
MIXUP = 0.2  # both parameters of the beta distribution of a weight


@functools.cache
def tensorflow() -> Any:
    """TensorFlow, which leaves accelerators to JAX.

    Raises:
      ValueError: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # it would announce its instruction sets
    try:
        tf = importlib.import_module("tensorflow")
    except ImportError as error:
        raise ValueError(
            f"ImageNet's pictures need a package that is not installed ({error}): pip install 'shortlist[images]'"
        ) from None
    with contextlib.suppress(RuntimeError):  # a submission has used it already, and decided for itself
        tf.config.set_visible_devices([], "GPU")
    return tf


def evaluated(content: Tensor, side: int) -> Tensor:
    """float32 [side, side, 3]: the middle of a picture, normalised.

    Args:
      content: a JPEG file.
      side: of the image.
    """
    return normalised(_middle(content, side))


def trained(content: Tensor, seed: Tensor, side: int, augment: Any = None) -> Tensor:
    """float32 [side, side, 3]: a random part of a picture, flipped half the time, normalised.

    A crop takes 8 to 100 % of the area at an aspect ratio of 3/4 to 4/3. Where the crop is the whole picture, the
    middle is taken as in evaluation; of a grey picture, though, the whole, as AlgoPerf does, which compares three
    channels with one.

    Args:
      content: a JPEG file.
      seed: [2], of this example.
      side: of the image.
      augment: (uint8 image, seed) -> uint8 image; for it pixels are clipped to 0..255 and fractions dropped. None:
        the overshoot of the bicubic kernel stays.
    """
    tf = tensorflow()
    of_box, of_flip, of_augment = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    shape = tf.io.extract_jpeg_shape(content)
    image = cropped(content, shape, box(shape, of_box), side)
    image = tf.image.stateless_random_flip_left_right(image, seed=of_flip)
    if augment is not None:
        image = augment(tf.cast(tf.clip_by_value(image, 0, 255), tf.uint8), of_augment)
    return normalised(tf.cast(image, tf.float32))


def box(shape: Tensor, seed: Tensor) -> Tensor:
    """[top, left, height, width] of a random crop.

    Args:
      shape: [height, width, channels] of the picture.
      seed: [2].
    """
    tf = tensorflow()
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        shape,
        bounding_boxes=tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
        seed=seed,
        min_object_covered=0.1,
        aspect_ratio_range=ASPECT,
        area_range=AREA,
        max_attempts=ATTEMPTS,
        use_image_if_no_bounding_boxes=True,
    )
    return tf.concat([begin[:2], size[:2]], axis=0)


def cropped(content: Tensor, shape: Tensor, window: Tensor, side: int) -> Tensor:
    """The part of a picture within a window, resized; its middle where the window is all of it.

    Args:
      content: a JPEG file.
      shape: [height, width, channels] as the file has them.
      window: [top, left, height, width].
      side: of the result.
    """
    tf = tensorflow()
    whole = tf.reduce_all(tf.concat([window[2:], [3]], axis=0) == shape)
    return tf.cond(
        whole,
        lambda: _middle(content, side),
        lambda: _resized(tf.io.decode_and_crop_jpeg(content, window, channels=3), side),
    )


def normalised(image: Tensor) -> Tensor:
    """(pixels - mean) / deviation, by colour."""
    tf = tensorflow()
    return (image - tf.constant(MEAN, tf.float32)) / tf.constant(DEVIATION, tf.float32)


def mixed(images: Tensor, labels: Tensor, seed: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """A batch of w * x + (1 - w) * (the example before x), and likewise of their classes, of which each is a share.

    w, one for the batch, is Beta(.2, .2): g / (g + h) of two numbers of Gamma(.2). (Zhang et al. 2018,
    arXiv:1710.09412.)

    Args:
      images: [example, side, side, 3].
      labels: [example].
      seed: [2], of this batch.
      classes: how many there are.
    """
    tf = tensorflow()
    first = tf.random.experimental.stateless_fold_in(seed, 0)
    second = tf.random.experimental.stateless_fold_in(first, 0)
    g, h = (tf.random.stateless_gamma([], each, MIXUP) for each in (first, second))
    weight = g / (g + h)
    shares = tf.one_hot(labels, classes)
    one, other = (
        weight * values + (1.0 - weight) * tf.roll(values, 1, axis=0) for values in (images, shares)
    )
    return one, other


def _middle(content: Tensor, side: int) -> Tensor:
    """The square in the middle of a picture, 7/8 as long as its shorter side, resized."""
    tf = tensorflow()
    size = tf.io.extract_jpeg_shape(content)[:2]
    kept = tf.cast(SIDE / RESIZED * tf.cast(tf.reduce_min(size), tf.float32), tf.int32)
    window = tf.concat([(size - kept + 1) // 2, [kept, kept]], axis=0)
    return _resized(tf.io.decode_and_crop_jpeg(content, window, channels=3), side)


def _resized(image: Tensor, side: int) -> Tensor:
    tf = tensorflow()
    resized = tf.image.resize(image, [side, side], method=tf.image.ResizeMethod.BICUBIC)
    return tf.ensure_shape(resized, [side, side, 3])
