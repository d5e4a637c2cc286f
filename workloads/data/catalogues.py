"""Translations of interface text: the gettext catalogues of Django, near a thousand strings in a hundred languages.

The package is looked up among the installed ones and its files are read; it is never imported.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import re
import struct
from collections.abc import Sequence
from typing import NamedTuple

PACKAGE = "django"
# Of ten parts by the hash of the English string, those of validation and test; the others are for training.
VALIDATION, TEST = 0, 1


class Pair(NamedTuple):
    """A string in two languages."""

    source: str
    target: str


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def pairs(languages: Sequence[tuple[str, str]], longest: int) -> dict[str, list[Pair]]:
    """Split -> pairs of a string in two languages.

    The split follows from the English string, letters alone and small: a string, and one that differs from it in
    other signs, is of one split in all languages. Strings with placeholders, markup or several lines are left out, and
    so are plural forms but the first, since languages have different ones.

    Args:
      languages: (source, target), names as Django's folders have them.
      longest: characters at most, on both sides.

    Raises:
      ValueError: the package has no such language.
    """
    found: dict[str, dict[Pair, None]] = {"train": {}, "validation": {}, "test": {}}
    for source_language, target_language in languages:
        wanted = _strings(target_language)
        for english, source in _strings(source_language).items():
            pair = Pair(source, wanted.get(english, ""))
            if all(0 < len(text) <= longest and not re.search(r"[%{}<>\n]", text) for text in pair):
                found[_split(english)][pair] = None
    # The same pair may belong to two English strings, and those to two splits: it is of the first one.
    seen: set[Pair] = set()
    kept = {}
    for split, of_split in found.items():
        kept[split] = [pair for pair in of_split if pair not in seen]
        seen.update(of_split)
    return kept


def _split(english: str) -> str:
    letters = "".join(character for character in english.lower() if character.isalpha())
    part = int.from_bytes(hashlib.sha256(letters.encode()).digest()[:8], "big") % 10
    return {VALIDATION: "validation", TEST: "test"}.get(part, "train")


def _strings(language: str) -> dict[str, str]:
    """English -> translation, of all of the package's catalogues."""
    paths = _paths(version()).get(language)
    if not paths:
        raise ValueError(f"{PACKAGE} has no catalogues of language {language!r}")
    found: dict[str, str] = {}
    for path in paths:
        for english, text in _catalogue(path.read_binary()).items():
            found.setdefault(english, text)
    return found


@functools.cache  # the package has 4,500 files
def _paths(version: str | None) -> dict[str, list[importlib.metadata.PackagePath]]:
    """Language -> its catalogues, sorted."""
    del version
    found: dict[str, list[importlib.metadata.PackagePath]] = {}
    for file in importlib.metadata.files(PACKAGE) or []:
        *_, folder, language, messages, name = ("", "", "", *file.parts)
        if (folder, messages) == ("locale", "LC_MESSAGES") and name.endswith(".mo"):
            found.setdefault(language, []).append(file)
    return {language: sorted(files) for language, files in found.items()}


def _catalogue(content: bytes) -> dict[str, str]:
    """English -> translation of a compiled catalogue: magic, revision, count, and where two tables of strings begin.

    Raises:
      ValueError: it is none.
    """
    if content[:4] != b"\xde\x12\x04\x95":
        raise ValueError(
            f"a catalogue begins with {content[:4]!r}; must be the little-endian magic of gettext's .mo"
        )
    count, english, translated = struct.unpack_from("<3I", content, 8)

    def strings(at: int) -> list[str]:
        places = struct.iter_unpack("<2I", content[at : at + 8 * count])
        return [content[start : start + length].decode("utf-8") for length, start in places]

    # A context stands before the string, plural forms behind it.
    return {
        key.rpartition("\x04")[2].partition("\x00")[0]: text.partition("\x00")[0]
        for key, text in zip(strings(english), strings(translated), strict=True)
        if key
    }
