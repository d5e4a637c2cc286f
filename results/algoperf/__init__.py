"""Readers of AlgoPerf's logs: trees of folders, and the published tables."""

from results.algoperf._checks import step_warnings
from results.algoperf._logs import read_algoperf_logs
from results.algoperf._parquet import FILES, read_algoperf_parquet
from results.algoperf._tree import holds_trials

__all__ = ["FILES", "holds_trials", "read_algoperf_logs", "read_algoperf_parquet", "step_warnings"]
