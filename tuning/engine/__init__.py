"""The population engine: many trials of a workload as few compiled programs."""
