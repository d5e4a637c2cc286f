"""Learned optimizers: update rules whose own weights were trained, one file each, and one table of them."""
