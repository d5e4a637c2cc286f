"""The report on AlgoPerf's logs, and AlgoPerf's scoring."""
