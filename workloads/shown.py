"""Names and messages of others, made such that a terminal or a page shows them and never obeys them.

They come from logs, studies and submissions of anybody. Terminals, tables, figures and pages all ask here, so that what
one refuses no other lets through. Nothing here needs more than Python.
"""

from __future__ import annotations

import re

# Control characters, line breaks included; marks that turn the direction of what follows; halves of characters, which
# names of files may hold and no encoding writes.
_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def plain(text: object, instead: str = "\N{REPLACEMENT CHARACTER}") -> str:
    """Text as one line of characters that are only shown.

    Args:
      text: of anybody.
      instead: what is shown in place of each other character.

    Example:
      >>> plain("a\\nb") == "a\N{REPLACEMENT CHARACTER}b"
      True
    """
    return _OBEYED.sub(instead, str(text))
