"""Figures: each is one function of a DataFrame."""
