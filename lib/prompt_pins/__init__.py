"""Prompt Pinning: find the emphasis weights that pin a prompt to a visual target.

Nothing is imported here, so that `import prompt_pins` is free of side effects and costs nothing.
"""

__version__ = "0.2.0"
