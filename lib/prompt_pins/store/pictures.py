"""The pictures of a map, as its `map.json` tells them to whoever goes on with one.  Standard library only."""

from __future__ import annotations

import dataclasses

from .checks import COUNT, INSIDE, WEIGHTS, Shape, fault
from .files import read_json
from .folder import MAP, RunFolder

MAPPED: Shape = {
    "images": tuple[INSIDE, ...],
    "axes": [{"label": str}],
    "places": [{"weights": WEIGHTS, "cluster": int, "prompt": str, "negative_prompt": str, "folder": INSIDE}],
    "clusters": [{"name": str, "example": COUNT, "ranges": [{"prompt": str, "negative_prompt": str}]}],
}
"""What is read of it."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """A cluster of a map.

    name: `blue up, yellow down`.  labels: of the axes.  weights: of its example; members: of each of its candidates.
    folder: of the example's images, relative to the map's.  images: their names.  prompts: the example's.
    kept: both prompts with the ranges of its whole box.
    """

    name: str
    labels: tuple[str, ...]
    weights: tuple[float, ...]
    members: tuple[tuple[float, ...], ...]
    folder: str
    images: tuple[str, ...]
    prompts: tuple[str, str]
    kept: tuple[str, str]


def pictures(folder: RunFolder) -> tuple[Picture, ...]:
    """Those of a map, the largest first; none where there is no `map.json`, or one that does not fit."""
    value = read_json(folder.inside(MAP))
    if value is None or fault(value, MAPPED):
        return ()
    labels = tuple(axis["label"] for axis in value["axes"])
    places, found = value["places"], []
    for number, cluster in enumerate(value["clusters"]):
        members = tuple(tuple(place["weights"]) for place in places if place["cluster"] == number)
        if not cluster["example"] < len(places) or not cluster["ranges"] or not members:
            return ()
        example, box = places[cluster["example"]], cluster["ranges"][-1]
        if any(len(row) != len(labels) for row in (*members, example["weights"])):
            return ()
        prompts, kept = ((one["prompt"], one["negative_prompt"]) for one in (example, box))
        found.append(
            Picture(
                cluster["name"], labels, tuple(example["weights"]), members, example["folder"], tuple(value["images"]),
                prompts, kept,
            )
        )  # fmt: skip
    return tuple(found)
