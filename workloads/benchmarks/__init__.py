"""AlgoPerf"s benchmark versions as data: targets, budgets, rules."""

from workloads.benchmarks._definitions import (
    BENCHMARKS,
    MAXIMIZED_METRICS,
    MINIMIZED_METRICS,
    Benchmark,
    BenchmarkWorkload,
    Rules,
    Ruleset,
    benchmark,
    decode,
    minimizes,
)

__all__ = [
    "BENCHMARKS",
    "MAXIMIZED_METRICS",
    "MINIMIZED_METRICS",
    "Benchmark",
    "BenchmarkWorkload",
    "Rules",
    "Ruleset",
    "benchmark",
    "decode",
    "minimizes",
]
