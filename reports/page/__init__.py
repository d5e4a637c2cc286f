"""A report as data, and the page it becomes."""
