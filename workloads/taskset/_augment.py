"""TaskSet's image augmentation, one independent draw per example.

Crop, flips, then brightness, saturation, hue and contrast, in this order, with the meaning and the ranges of
TensorFlow's tf.image.random_*: changed colours are not clipped, so that a bright pixel may exceed 1 and a dark one
may be negative. A crop leaves height - c by width - c pixels; colours change only with 3 channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

DRAWS = 8  # numbers that decide the augmentation of an image


def augment(
    key: jax.Array, images: Float[Array, "e h w c"], settings: Mapping[str, Any]
) -> Float[Array, "e rows columns c"]:
    """Random crop, flips, then brightness, saturation, hue and contrast.

    With u uniform in [-1, 1): brightness adds u * b; saturation multiplies that of hue, saturation and value by
    1 + u * s and clips it to [0, 1]; hue moves by u * h of a turn; contrast multiplies the distance to a channel's mean
    over the image by 1 + u * c.

    Args:
      key: of all draws, which are made at once, because every call of the generator costs a second of
        compilation.
      images: in [0, 1].
      settings: the third entry of a config's data set.
    """
    draws = jax.random.uniform(key, (images.shape[0], DRAWS))
    return jax.vmap(lambda draw, image: _augment_one(draw, image, settings))(draws, images)


def centre_crop(
    images: Float[Array, "e h w c"], settings: Mapping[str, Any]
) -> Float[Array, "e rows columns c"]:
    """The middle of the images, of the size that `augment` leaves."""
    crop = settings["crop_amount"]
    before, after = crop // 2, crop - crop // 2
    return images[:, before : images.shape[1] - after, before : images.shape[2] - after]


def _augment_one(draws: jax.Array, image: jax.Array, settings: Mapping[str, Any]) -> jax.Array:
    height, width, channels = image.shape
    crop = settings["crop_amount"]
    if crop:
        corner = jnp.floor(draws[:2] * (crop + 1)).astype(jnp.int32)
        size = (height - crop, width - crop, channels)
        image = jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), size)
    if settings["flip_left_right"]:
        image = jnp.where(draws[2] < 0.5, image[:, ::-1], image)
    if settings["flip_up_down"]:
        image = jnp.where(draws[3] < 0.5, image[::-1], image)
    if settings["do_color_aug"] and channels == 3:
        signed = 2.0 * draws[4:] - 1.0
        hue, saturation, value = _to_hsv(image + signed[0] * settings["brightness"])
        saturation = jnp.clip(saturation * (1.0 + signed[1] * settings["saturation"]), 0.0, 1.0)
        hue = (hue + signed[2] * settings["hue"]) % 1.0
        image = _to_rgb(hue, saturation, value)
        mean = jnp.mean(image, axis=(0, 1))
        image = (image - mean) * (1.0 + signed[3] * settings["contrast"]) + mean
    return image


def _to_hsv(rgb: Float[Array, "h w 3"]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Hue in turns, saturation and value (A. R. Smith 1978, the hexcone).

    All three are in [0, 1] for colours that are. For others the hue still is; saturation exceeds 1 where the least
    channel is negative, and is 0 where the largest is.
    """
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    value = jnp.max(rgb, axis=-1)
    spread = value - jnp.min(rgb, axis=-1)
    safe = jnp.where(spread > 0, spread, 1.0)
    hue = jnp.where(
        value == red,
        (green - blue) / safe % 6.0,
        jnp.where(value == green, (blue - red) / safe + 2.0, (red - green) / safe + 4.0),
    )
    saturation = jnp.where(value > 0, spread / jnp.where(value > 0, value, 1.0), 0.0)
    return jnp.where(spread > 0, hue / 6.0, 0.0), saturation, value


def _to_rgb(hue: jax.Array, saturation: jax.Array, value: jax.Array) -> Float[Array, "h w 3"]:
    """The inverse: channel n in (5, 3, 1) is v - v s max(0, min(k, 4 - k, 1)) with k = (n + 6h) mod 6."""
    k = (jnp.array([5.0, 3.0, 1.0]) + 6.0 * hue[..., None]) % 6.0
    bump = jnp.clip(jnp.minimum(k, 4.0 - k), 0.0, 1.0)
    return value[..., None] * (1.0 - saturation[..., None] * bump)
