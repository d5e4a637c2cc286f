"""Text in place of TaskSet's: sources of Python's standard library, cut into texts of the right tokens and lengths.

Bytes are id = byte + 1, as in the original; for Russian, Japanese and Chinese the letters are first replaced by letters
of two or three bytes, so that ids above 128 occur and come in groups. Subwords are our own: the most frequent pieces of
the sources by rank, then one id for every byte, with which all other pieces are spelled. Classes are topics of the
modules, so that a label can be learnt from the words, but not from every text.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import itertools
import pathlib
import platform
import re
import string
import zlib
from collections.abc import Mapping

import numpy as np

from workloads._source import Provenance
from workloads.data.stdlib_text import source_text

TOPICS = {
    "network": "asyncio email ftplib http imaplib ipaddress mailbox poplib smtplib socket socketserver ssl urllib",
    "programs": "ast bdb code dataclasses dis doctest enum functools importlib inspect pdb pickletools pydoc trace "
    "traceback typing unittest weakref",
    "files": "configparser csv filecmp fileinput fnmatch glob gzip json lzma mimetypes netrc pickle plistlib shelve "
    "shutil tarfile tempfile zipfile",
    "figures": "argparse calendar cmd colorsys copy difflib fractions getopt gettext heapq locale numbers optparse "
    "pprint random shlex statistics string stringprep textwrap turtle",
    "processes": "compileall contextlib logging multiprocessing platform pstats queue sched selectors signal "
    "subprocess sysconfig threading tracemalloc uuid",
}
# language -> first of the letters that replace a-z and A-Z in its texts
ALPHABETS = {"ru": 0x0430, "ja": 0x3042, "zh": 0x4E00}

TRAIN = 2400  # texts of the training split; the largest batch has 512
HELD_OUT = 360  # texts of each other split
LONGEST = 3  # a text has at most so many times the mean length of its data set

PIECE = re.compile(r" ?[^\W\d_]+|\n *|[\d_]| +|[^\w\s]+|\s")
BYTES = 256


@functools.cache
def stand_in(
    name: str, subword_ids: int | None, mean_length: int, classes: int
) -> tuple[Mapping[str, tuple[list[np.ndarray], np.ndarray]], Provenance]:
    """Texts as token ids, and their topics as labels, by split; no two texts share a token of the sources.

    Args:
      name: of the data set; it decides the cut, so that data sets of one kind differ.
      subword_ids: how many ids there are, padding and bytes included; None for bytes.
      mean_length: of the texts before the longest are cut, in tokens.
      classes: topics are dealt out to so many classes.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    streams = _bytes(_alphabet(name)) if subword_ids is None else _subwords(subword_ids)
    by_class: list[list[tuple[int, int, int]]] = [[] for _ in range(classes)]  # (topic, first token, end)
    for topic, stream in enumerate(streams):
        # Gamma of shape 2: long texts are rare, and so are very short ones.
        lengths = np.ceil(rng.gamma(2.0, mean_length / 2.0, size=2 * len(stream) // mean_length)).astype(int)
        ends = np.cumsum(np.clip(lengths, 1, LONGEST * mean_length))
        ends = ends[ends < len(stream)]
        by_class[topic % classes] += [(topic, a, b) for a, b in itertools.pairwise(ends.tolist())]
    total = TRAIN + 3 * HELD_OUT
    chosen = [
        (label, *spans[i])
        for label, spans in enumerate(by_class)
        for i in rng.choice(len(spans), size=-(-total // classes), replace=False)
    ]
    chosen = [chosen[i] for i in rng.permutation(len(chosen))[:total]]
    splits = {}
    for i, split in enumerate(("inner_valid", "outer_valid", "test", "train")):
        part = chosen[i * HELD_OUT :] if split == "train" else chosen[i * HELD_OUT : (i + 1) * HELD_OUT]
        texts = [streams[topic][a:b] for _, topic, a, b in part]
        splits[split] = texts, np.array([label for label, *_ in part], np.int32)
    return splits, _provenance(name, subword_ids, classes)


def _provenance(name: str, subword_ids: int | None, classes: int) -> Provenance:
    letters = ", letters replaced by longer ones" if _alphabet(name) else ""
    tokens = "bytes" if subword_ids is None else f"{subword_ids:,} subwords of our own"
    labels = f", labelled by {classes} groups of modules" if classes > 1 else ""
    return Provenance(
        "embedded",
        f"{TRAIN + 3 * HELD_OUT:,} pieces of the sources of Python {platform.python_version()}'s standard library "
        f"(sha256 {_digest()}){letters}, in {tokens}{labels}",
        stands_in_for=name,
    )


@functools.cache
def _digest() -> str:
    return hashlib.sha256("".join(_sources()).encode()).hexdigest()[:12]


@functools.cache
def _sources() -> tuple[str, ...]:
    """The text of every topic."""
    return tuple("".join(map(_module_text, modules.split())) for modules in TOPICS.values())


def _module_text(module: str) -> str:
    """Source of a module, or of all modules directly in a package."""
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return source_text(module)
    files = sorted(pathlib.Path(spec.submodule_search_locations[0]).glob("*.py"))
    return "".join(file.read_text(encoding="utf-8") for file in files)


def _alphabet(name: str) -> str | None:
    """The key of ALPHABETS for a data set, None for Latin letters."""
    found = re.search(r"20190301\.(\w+?)_", name)
    return found[1] if found and found[1] in ALPHABETS else None


@functools.cache
def _bytes(alphabet: str | None) -> tuple[np.ndarray, ...]:
    table = {}
    if alphabet:
        table = {ord(c): ALPHABETS[alphabet] + i for i, c in enumerate(string.ascii_letters)}
    return tuple(byte_ids(text.translate(table).encode()) for text in _sources())


def byte_ids(text: bytes) -> np.ndarray:
    """byte + 1; 0 is left for padding."""
    return np.frombuffer(text, np.uint8).astype(np.uint16) + np.uint16(1)


@functools.cache
def _subwords(ids: int) -> tuple[np.ndarray, ...]:
    """0 is padding, 1 .. ids - 257 are pieces by frequency, the last 256 are bytes."""
    ranked, topics = _ranked_pieces()
    known = ids - 1 - BYTES
    spelled = [[known + 1 + byte for byte in piece.encode()] for piece in ranked[known:]]
    table = [[rank + 1] for rank in range(known)] + spelled
    flat = np.fromiter(itertools.chain.from_iterable(table), np.uint16)
    length = np.array([len(entry) for entry in table])
    first = np.cumsum(length) - length

    def encode(ranks: np.ndarray) -> np.ndarray:
        n = length[ranks]
        inside = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)  # 0, 1, ... within every piece
        return flat[np.repeat(first[ranks], n) + inside]

    return tuple(encode(ranks) for ranks in topics)


@functools.cache
def _ranked_pieces() -> tuple[list[str], tuple[np.ndarray, ...]]:
    """All pieces, the most frequent first (the earlier one of equals), and the topics as ranks of their pieces."""
    seen: dict[str, int] = {}
    topics = [
        np.array([seen.setdefault(piece, len(seen)) for piece in PIECE.findall(text)], np.int32)
        for text in _sources()
    ]
    counts = np.bincount(np.concatenate(topics))
    order = np.argsort(-counts, kind="stable")
    pieces = list(seen)
    rank = np.argsort(order)
    return [pieces[i] for i in order], tuple(rank[topic] for topic in topics)
