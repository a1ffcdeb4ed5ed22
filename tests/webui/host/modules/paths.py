"""Where the stand-in's files lie."""

from . import shared

models_path = str(shared.MODELS)
