"""The page of a map: a read-only view of `map.json` and the images beside it.  Imports numpy and Pillow, late."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import NO_TARGET, MapOptions
from ..config.presets import is_by_eye
from ..errors import StoreError
from ..options import declarations, defaults
from ..store.files import inside, write_text
from ..store.folder import MAP
from . import pages
from .images import Thumbs, data_address, read_image
from .view import as_text, command, settings

COLUMNS = 32
TILES = ((300, 80), (700, 64), (2**31, 48))
"""(candidates, pixels): up to so many, a candidate's picture on the map has that side."""
HOLDS = 0.75
"""A cluster holds where two of its candidates share one in at least this share of the resamples."""
SHOWN = 4
"""Images of a cluster that its card shows."""


def build_map(root: Path) -> Path:
    """Write the page of the map in `root`, and return its path.  Raises `StoreError`."""
    try:
        value: dict[str, Any] = json.loads((root / MAP).read_bytes())
    except (OSError, ValueError) as error:
        raise StoreError(f"{root / MAP}: cannot be read ({error})") from error
    thumbs, places = Thumbs(root), value["places"]
    tile = next(side for most, side in TILES if len(places) <= most)
    clusters = [_cluster(root, value, number, thumbs) for number in range(len(value["clusters"]))]
    data = {
        "places": [
            [p["x"], p["y"], p["cluster"], p["prompt"], p["negative_prompt"], p["folder"], p["weights"]] for p in places
        ],
        "parts": [[p["text"], p["side"], p["axis"], p["weight"]] for p in value["parts"]],
        "axes": [[a["label"], a["original"], a["side"], a["scale"], a["decimals"]] for a in value["axes"]],
        "clusters": [{name: c[name] for name in ("title", "outline", "example", "holds", "ranges")} for c in clusters],
        "images": value["images"],
        "tile": tile,
        "columns": COLUMNS,
    }
    usual, known = defaults(MapOptions), declarations(MapOptions)
    own = [(known[name].label, as_text(item), item != usual.get(name)) for name, item in value["options"].items()]
    values = {
        "name": root.name,
        "m_": value,
        "prompt": value["config"].get("prompt", ""),
        "negative_prompt": value["config"].get("negative_prompt", ""),
        "count": len(places),
        "loose": sum(place["cluster"] < 0 for place in places),
        "clusters": clusters,
        "sheet": _sheet(root, places, value["images"], tile),
        "data": pages.script_json(data),
        "settings": [
            *((group, rows) for group, rows in settings(value["config"]) if group in MapOptions.RUN_GROUPS),
            (MapOptions.GROUP, own),
        ],
        "host": [(str(key), str(item)) for key, item in value["host"].items()],
    }
    page = root / "index.html"
    write_text(page, pages.render("map.html", values))
    return page


def _cluster(root: Path, value: Mapping[str, Any], number: int, thumbs: Thumbs) -> dict[str, Any]:
    """What the card of a cluster shows."""
    cluster = value["clusters"][number]
    example = value["places"][cluster["example"]]
    names = [f"{example['folder']}/{name}" for name in value["images"][:SHOWN]]
    title = f"Picture {number + 1}"
    return {
        **cluster,
        "number": number + 1,
        "title": title,
        "holds": cluster["stability"] is None or cluster["stability"] >= HOLDS,
        "prompt": example["prompt"],
        "negative_prompt": example["negative_prompt"],
        "pictures": [
            {"src": name, "thumb": thumbs.get(name), "alt": f"{title}, image {i}"} for i, name in enumerate(names, 1)
        ],
        "command": _pin(root, value["config"], value["host"], number, example["folder"]),
        "ranges": [[r["share"], r["low"], r["high"], r["inside"], r["own"], r["prompt"], r["negative_prompt"]]
                   for r in cluster["ranges"]],
    }  # fmt: skip


def _pin(root: Path, config: Mapping[str, Any], host: Mapping[str, Any], number: int, folder: str) -> str:
    """The command line that pins the prompt to a cluster: its example's images, from its weights.

    What says of other targets how they count, or that there are none, is left out.
    """
    own = {**config, **NO_TARGET, "target": [str(root / folder)], "warm_start": f"{root}/{number + 1}"}
    if is_by_eye(config.get("loss_objectives") or ()):
        own["loss_objectives"] = None
    return command(own, str(host.get("embeddings_folder", "")), str(host.get("loras_folder", "")))


def _sheet(root: Path, places: Sequence[Mapping[str, Any]], images: Sequence[str], tile: int) -> str:
    """The first image of every candidate, small, `COLUMNS` in a row, as a `data:` address; "" without any."""
    import numpy as np

    if not places:
        return ""
    sheet = np.full((-(-len(places) // COLUMNS) * tile, COLUMNS * tile, 3), 127, np.uint8)
    for number, place in enumerate(places):
        image = read_image(inside(root, f"{place['folder']}/{images[0]}"), tile)
        if image is not None:
            height, width = image.shape[:2]
            top = number // COLUMNS * tile + (tile - height) // 2
            left = number % COLUMNS * tile + (tile - width) // 2
            sheet[top : top + height, left : left + width] = image
    return data_address(sheet)
