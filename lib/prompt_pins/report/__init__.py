"""Reports: read-only views of a run's journal, as pages, plots and GIFs.

Reads only the store (and the declarations of the options).  May import numpy, Pillow, jinja2 and matplotlib.
"""

from .build import build
from .index import build_index
from .live import LiveReport

__all__ = ["LiveReport", "build", "build_index"]
