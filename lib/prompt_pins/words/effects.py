"""Effects of a word, seed by seed: those of `run.effects`, which a run's own words are told by, too."""

from ..run.effects import Array, Effect, effect, spread_values

__all__ = ["Array", "Effect", "effect", "spread_values"]
