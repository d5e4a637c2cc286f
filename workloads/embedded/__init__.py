"""Workloads on data that ship inside packages, or are made by generators."""
