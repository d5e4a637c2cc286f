"""Pictures: decoding, and resizing as TaskSet does. Needs the extra `shortlist[tfds]`."""

from __future__ import annotations

import contextlib

import numpy as np
from jaxtyping import UInt8


def decode(content: bytes, channels: int | None = None) -> UInt8[np.ndarray, "height width channels"]:
    """A PNG or JPEG file as bytes in the order red, green, blue.

    JPEG leaves its decoders some freedom: another one may differ by a few steps of 256. Marks that ask for the
    picture to be turned are ignored, as TensorFlow does.

    Args:
      content: of the file.
      channels: 1, 3 or 4; None: as the file has them.

    Raises:
      ValueError: no such file, or not with so many channels.
    """
    cv2 = _opencv()
    flags = {1: cv2.IMREAD_GRAYSCALE, 3: cv2.IMREAD_COLOR}.get(channels or 0, cv2.IMREAD_UNCHANGED)
    image = None
    if content:
        with contextlib.suppress(cv2.error):  # of a picture that says to be larger than OpenCV takes
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise ValueError(f"not a PNG or JPEG image ({len(content)} bytes, starting with {content[:8]!r})")
    if image.ndim == 2:
        image = image[..., None]
    if image.dtype != np.uint8 or (channels is not None and image.shape[-1] != channels):
        raise ValueError(
            f"an image of {image.shape[-1]} channels of {image.dtype}; expected {channels} of uint8"
        )
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[image.shape[-1]]  # OpenCV's own is blue, green, red
    return np.ascontiguousarray(image[..., order])


def resize(
    image: UInt8[np.ndarray, "height width channels"], height: int, width: int
) -> UInt8[np.ndarray, "rows columns channels"]:
    """Bicubic, without keeping the aspect ratio and without smoothing before: OpenCV's INTER_CUBIC (a = -3/4).

    out = round(sum_j w(v - j) sum_i w(u - i) in[i, j]), where (u, v) = (x + 1/2) * in size / out size - 1/2 and
    w(t) = (a+2)|t|^3 - (a+3)|t|^2 + 1 for |t| <= 1, a|t|^3 - 5a|t|^2 + 8a|t| - 4a for |t| < 2. Pixels at the
    border are repeated.
    """
    if image.shape[:2] == (height, width):
        return image
    cv2 = _opencv()
    resized = cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC)
    return resized.reshape(height, width, image.shape[-1])  # OpenCV drops an axis of one channel


def _opencv():
    try:
        import cv2
    except ImportError as error:
        raise ValueError(
            f"images of TFDS folders need a package that is not installed ({error}): pip install 'shortlist[tfds]'"
        ) from None
    with contextlib.suppress(AttributeError):  # of older versions
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # what is wrong is said by `decode`
    return cv2
