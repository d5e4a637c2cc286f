"""Published lists as data: those of papers, and our own with their proof."""

from __future__ import annotations

from importlib import resources

from lists._list_file import HyperparameterList, parse_list
from workloads.spelling import did_you_mean

# Metz' list exists in two orders, and "its first 5 points" means different points in each: 743, 342, ...
# in the paper, 251, 611, ... in the package that was released.
PUBLISHED = {
    #  name                 what it is
    "medapati2025": "5 points for NAdamW, learnt on AlgoPerf (arXiv:2503.03986, Table 10)",
    "metz2020/appendix_f": "50 points for Metz' NAdamW, learnt on TaskSet (arXiv:2002.11887, Appendix F)",
    "metz2020/opt_list": "first 50 of the 1000 points that the opt_list package tries, in its own order",
    "mini/nadamw_optax": "5 points for NAdamW, learnt on AlgoPerf's workloads at mini scale, with its proof",
    "mini/adamw_optax": "the same for AdamW, out of 100 points",
    "mini/schedule_free_adamw_optax": "the same for Schedule-Free AdamW, out of 100 points",
    "mini/soap": "the same for SOAP, out of 100 points",
    "mini/muon_optax": "the same for Muon, out of 100 points; one workload left out is missed",
    "mini/shampoo_grafted": "the same for Shampoo, grafted, out of 100 points; one workload left out is missed",
    "mini/ademamix": "the same for AdEMAMix, out of 100 points; one workload left out is missed",
    "mini/sgd_optax": "the same for SGD with momentum, out of 100 points; two workloads left out are missed",
    "mini/lion_optax": "the same for Lion, out of 100 points; five workloads left out are missed: no proof",
}


def published(name: str) -> HyperparameterList:
    """A published list, with all hyperparameters and its update rule.

    Point ids are the authors' own numbering: rows of the 200 candidates for Medapati et al. and for
    `mini/nadamw_optax`, rows of the quasi-random points of their space for the others of `mini/`, TaskSet's
    `nadamw_grid_seed<n>` for Metz et al. Lists of ours are made by `shortlist reproduce medapati2025` and say in
    `made_by` what leaving one workload out came to.

    Args:
      name: a key of `PUBLISHED`.

    Returns:
      The list.

    Raises:
      ValueError: no such list.

    Example:
      >>> [point.id for point in published("medapati2025").points]
      ['173', '170', '197', '43', '104']
    """
    if name not in PUBLISHED:
        hint = did_you_mean(name, PUBLISHED)
        raise ValueError(f"no published list '{name}'{hint} (published: {', '.join(PUBLISHED)})")
    file = resources.files("lists").joinpath("published", *f"{name}.json".split("/"))
    return parse_list(file.read_bytes(), where=str(file))
