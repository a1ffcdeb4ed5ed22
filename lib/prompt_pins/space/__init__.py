"""The space that a search walks: axes in groups, and the recipe that a point of it stands for.

`build` makes the space of two prompts and the settings that vary; `read` finds the point of other ones.
A group is one file: `text` holds the words and the LoRA multipliers, `settings` the numbers of the job, `blocks` the
block weights of a merge.  Never imports torch.
"""

from __future__ import annotations

from .build import build, build_all, read
from .plain import plain
from .settings import SETTINGS
from .space import Group, Part, Space
from .text import PRINTED

__all__ = ["PRINTED", "SETTINGS", "Group", "Part", "Space", "build", "build_all", "plain", "read"]
