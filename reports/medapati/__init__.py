"""The reproduction of Medapati et al. 2025, arXiv:2503.03986: their numbers as data, and ours beside them."""

from reports.medapati._published import PublishedNumbers, published_numbers

__all__ = ["PublishedNumbers", "published_numbers"]
