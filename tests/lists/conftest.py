"""Settings of the property tests in this folder."""

from hypothesis import settings

# A deadline per example asserts a time; a busy machine would fail it.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
