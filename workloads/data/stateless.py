"""TensorFlow's stateless random numbers without TensorFlow, functions of a seed alone (`tf.random.stateless_uniform`).

They are Philox 4x32-10's (Salmon et al. 2011, doi:10.1145/2063384.2063405); NumPy has Philox in its other width alone.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, UInt32

ROUNDS = 10
FACTORS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
STEPS = np.array([0x9E3779B9, 0xBB67AE85], np.uint32)  # of the key, from round to round
SCRAMBLE = np.array([0x3EC8F720, 0x02461E29], np.uint32)  # the key under which a seed becomes a key


def uniform(seed: tuple[int, int], count: int) -> Float32[np.ndarray, " count"]:
    """So many numbers from 0 to 1; more of them begin with the same.

    Args:
      seed: two integers of 64 bits.
      count: how many.
    """
    words = [word % 2**64 >> shift & 0xFFFFFFFF for word in seed for shift in (0, 32)]
    scrambled = philox(np.array([words], np.uint32), SCRAMBLE)[0]
    blocks = -(-count // 4)
    counters = np.zeros((blocks, 4), np.uint32)
    counters[:, 0] = np.arange(blocks)
    counters[:, 2:] = scrambled[2:]
    bits = philox(counters, scrambled[:2]).reshape(-1)[:count]
    # The lower 23 bits as those of a number from 1 to 2.
    return ((bits & np.uint32(0x7FFFFF)) | np.uint32(0x3F800000)).view(np.float32) - np.float32(1)


def philox(
    counters: UInt32[np.ndarray, "block 4"], key: UInt32[np.ndarray, " word"]
) -> UInt32[np.ndarray, "block 4"]:
    """The generator's four words for every counter."""
    words, key = counters.T, key.copy()
    for _ in range(ROUNDS):
        products = words[::2].astype(np.uint64) * FACTORS[:, None]
        high, low = (products >> np.uint64(32)).astype(np.uint32), products.astype(np.uint32)
        words = np.stack([high[1] ^ words[1] ^ key[0], low[1], high[0] ^ words[3] ^ key[1], low[0]])
        key += STEPS
    return words.T
