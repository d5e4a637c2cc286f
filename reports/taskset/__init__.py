"""The report on curves: TaskSet's experiments."""
