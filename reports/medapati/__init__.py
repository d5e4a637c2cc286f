"""The reproduction of Medapati et al. 2025, arXiv:2503.03986: their numbers as data, and ours beside them.

>>> import reports
>>> reports.write_report(reports.medapati_report("studies"), "report")  # doctest: +SKIP
"""

from reports.medapati._published import PublishedNumbers, published_numbers
from reports.medapati._report import medapati_report

__all__ = ["PublishedNumbers", "medapati_report", "published_numbers"]
