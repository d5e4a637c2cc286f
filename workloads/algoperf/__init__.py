"""AlgoPerf's workloads, native: no AlgoPerf is needed."""
