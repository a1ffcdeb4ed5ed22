"""Measurements that the documentation quotes."""

from prompt_pins.cli import threads  # noqa: F401 (before torch)
