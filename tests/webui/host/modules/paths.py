"""Where the stand-in's files lie."""

import os

from . import shared

models_path = str(shared.MODELS)
data_path = os.environ.get("STAND_IN_DATA", "")
