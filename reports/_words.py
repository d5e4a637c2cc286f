"""Numbers and names in words."""

from __future__ import annotations

import math


def number(value: float) -> str:
    """Four significant digits, never with a needless exponent.

    Example:
      >>> number(30.8491), number(0.00012345), number(1e-7), number(5.0)
      ('30.85', '0.0001234', '1e-07', '5')
    """
    if value == 0 or 1e-5 <= abs(value) < 1e6:
        digits = 4 if value == 0 else max(0, 3 - math.floor(math.log10(abs(value))))
        text = f"{value:,.{digits}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds in words.

    Example:
      >>> duration(7.3), duration(312.0), duration(7700.0)
      ('7.3 s', '5 min 12 s', '2 h 8 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min"


def count(n: int, word: str) -> str:
    """A number of things.

    Example:
      >>> count(1, "point"), count(1800, "trial")
      ('1 point', '1,800 trials')
    """
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def capital(text: str) -> str:
    """A text with a capital first letter, to begin a sentence."""
    return text[:1].upper() + text[1:]
