"""How long a test waits for what must come.  No test measures time: a slow machine waits longer and passes."""

HUNG = 3600.0
"""Seconds after which something hangs for certain."""
