"""The report on our own studies."""
