"""Translations of short phrases: the names of emoji, as the package emoji ships them in a dozen languages.

They are Unicode's annotations (CLDR), such as "surferin: helle Hautfarbe" and "woman surfing: light skin tone". The
package is looked up among the installed ones and its files are read; it is never imported.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

PACKAGE = "emoji"
ENGLISH = "emoji.json"
# Of ten parts by the hash of the English name without skin tones, those of validation and test; the others are for
# training.
VALIDATION, TEST = 0, 1
SKIN_TONE = re.compile(r"\b(medium-light|medium-dark|light|medium|dark) skin tone\b")


class Pair(NamedTuple):
    """A name in another language, and in English."""

    source: str
    target: str


class _English(msgspec.Struct):
    en: str


def version() -> str | None:
    """Of the package; None where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def pairs(languages: Sequence[str]) -> dict[str, list[Pair]]:
    """Split -> names of emoji in each of the languages, and in English, in small letters.

    The split follows from the English name, letters alone and without skin tones: people who do the same thing are of
    one split in all colours and all languages.

    Args:
      languages: from which English is made, as the package's files have them, such as `de`.

    Raises:
      ValueError: the package has no such language.
    """
    names = _names()
    if missing := [language for language in languages if f"emoji_{language}.json" not in names]:
        known = sorted(name[6:-5] for name in names if name != ENGLISH)
        raise ValueError(f"{PACKAGE} has no names in {missing[0]!r}; it has {', '.join(known)}")
    english = msgspec.json.decode(names[ENGLISH].read_binary(), type=dict[str, _English])
    found: dict[str, dict[Pair, None]] = {"train": {}, "validation": {}, "test": {}}
    for language in languages:
        others = msgspec.json.decode(names[f"emoji_{language}.json"].read_binary(), type=dict[str, str])
        for emoji, name in others.items():
            pair = Pair(_words(name), _words(english[emoji].en))
            found[_split(pair.target)][pair] = None
    return {split: list(of_split) for split, of_split in found.items()}


def _words(name: str) -> str:
    """`:woman_surfing:` as words; the two colours of two people stand apart in all languages."""
    return " ".join(re.sub("[_,]", " ", name.strip(":")).lower().split())


def _split(english: str) -> str:
    letters = "".join(character for character in SKIN_TONE.sub("", english) if character.isalpha())
    part = int.from_bytes(hashlib.sha256(letters.encode()).digest()[:8], "big") % 10
    return {VALIDATION: "validation", TEST: "test"}.get(part, "train")


def _names() -> Mapping[str, importlib.metadata.PackagePath]:
    """The package's files of names, by their own name."""
    return {
        file.name: file
        for file in importlib.metadata.files(PACKAGE) or []
        if file.parent.name == "unicode_codes" and file.suffix == ".json"
    }
