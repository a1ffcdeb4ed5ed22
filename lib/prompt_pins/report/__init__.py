"""Reports: read-only views of a run's journal, as pages, plots and GIFs.

Reads only the store, the declarations of the options and the notations of a prompt.  May import numpy, Pillow, jinja2
and matplotlib.
"""

from .build import build
from .compared import build_comparison
from .index import build_index
from .live import LiveReport
from .mapped import build_map
from .measured import build_analysis, draw_heat

__all__ = ["LiveReport", "build", "build_analysis", "build_comparison", "build_index", "build_map", "draw_heat"]
