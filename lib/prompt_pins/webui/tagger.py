"""The taggers that a WebUI's folder of models holds.  Imports the host's modules inside functions."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from ..host import Tagger
from ..loss.tagger import DEEPDANBOORU, FILES, opened

MISSING = (
    "the others: there is neither DeepDanbooru in models/torch_deepdanbooru, where the WebUI fetches it when an image "
    "is interrogated with it in img2img, nor a tagger of WD14's kind that the extension wd14-tagger has fetched, nor "
    "one in models/scorers/tagger"
)
"""What is said where tags are asked for and there is no tagger."""


def find() -> Tagger | None:
    """The tagger that the extension wd14-tagger has fetched last, else the WebUI's DeepDanbooru; None without.

    Nothing is ever downloaded.  Raises `OptionError` where the files cannot be used.
    """
    models = Path(importlib.import_module("modules.paths").models_path)
    fetched = [*_of_extension(models)] if find_spec("onnxruntime") else []
    danbooru = models / "torch_deepdanbooru"
    folders = [*reversed(fetched), *([danbooru] if (danbooru / DEEPDANBOORU).is_file() else [])]
    return opened(folders[0], "auto") if folders else None


def _of_extension(models: Path) -> Iterator[Path]:
    """Folders with a WD14 tagger: those put there by hand, then those it notes when it fetches one, oldest first.

    https://github.com/picobyte/stable-diffusion-webui-wd14-tagger: `tagger/utils.py`, `tagger/interrogator.py`.
    """
    found = sorted(path.parent for path in models.glob(f"TaggerOnnx/*/{FILES[0]}"))
    try:
        noted = json.loads((models / "interrogators" / "model.json").read_text("utf-8"))
        found += [Path(one["model_path"]).parent for one in noted]
    except (OSError, ValueError, TypeError, LookupError):
        pass  # never used, or of another version
    yield from (folder for folder in found if all((folder / name).is_file() for name in FILES))
