"""Structural similarity of images (Wang et al. 2004, doi:10.1109/TIP.2003.819861), as fastMRI measures it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

WINDOW = 7
K1, K2 = 0.01, 0.03


def of_normalised(
    x: Float[Array, "example row column"],
    y: Float[Array, "example row column"],
    mean: Float[Array, " example"],
    std: Float[Array, " example"],
    data_range: Float[Array, " example"],
) -> Float[Array, " example"]:
    """Similarity of images that were normalised with one mean and deviation each, between -1 and 1.

    Args:
      x, y: what is compared.
      mean, std: with which both were normalised.
      data_range: of the images before that. 0, as padding has it, counts as 1.
    """
    mean, std = mean[:, None, None], std[:, None, None]
    data_range = jnp.where(data_range == 0, 1.0, data_range)
    return jnp.clip(similarity(x * std + mean, y * std + mean, data_range), -1.0, 1.0)


def similarity(
    x: Float[Array, "example row column"],
    y: Float[Array, "example row column"],
    data_range: Float[Array, " example"],
) -> Float[Array, " example"]:
    """Mean over all 7x7 windows inside the image of
    (2 mx my + c1) (2 vxy + c2) / ((mx^2 + my^2 + c1) (vx + vy + c2)), with unbiased variances.

    c1 = (0.01 range)^2, c2 = (0.03 range)^2. `skimage.metrics.structural_similarity` by its defaults.
    """
    pixels = WINDOW**2
    unbiased = pixels / (pixels - 1)
    mx, my, mxx, myy, mxy = (window_means(image) for image in (x, y, x * x, y * y, x * y))
    vx, vy, vxy = (
        unbiased * (square - product) for square, product in ((mxx, mx * mx), (myy, my * my), (mxy, mx * my))
    )
    c1, c2 = (jnp.square(k * data_range)[:, None, None] for k in (K1, K2))
    ratio = (2 * mx * my + c1) * (2 * vxy + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return jnp.mean(ratio, axis=(1, 2))


def window_means(images: Float[Array, "example row column"]) -> Float[Array, "example rows columns"]:
    """Means of all windows that lie inside the image."""
    for axis in (1, 2):
        inside = images.shape[axis] - WINDOW + 1
        shifted = [jax.lax.slice_in_dim(images, i, i + inside, axis=axis) for i in range(WINDOW)]
        images = sum(shifted[1:], shifted[0]) / WINDOW
    return images
