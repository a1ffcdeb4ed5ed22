"""Draw the targets of the shipped pinning tasks, `benchmarks/tasks/*.png`, in the embedded model's world.

python tools/draw_tasks.py
"""

from __future__ import annotations

from pathlib import Path

from embedded_world import PALETTE, PLACES, Background, Scene, Thing, render
from PIL import Image

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks" / "tasks"
RADII = {"medium": 24.0, "large": 31.0}
TARGETS = {
    "rival-colours": ("large", "circle", "blue", "center", "black"),
    "rival-places": ("medium", "circle", "yellow", "right", "blue"),
    "rival-backgrounds": ("medium", "triangle", "white", "center", "green"),
}


def scene(size: str, shape: str, colour: str, place: str, background: str) -> Scene:
    """One thing on a plain background, all colours exactly the palette's."""
    x, y = PLACES[place]
    thing = Thing(shape, colour, size, place, PALETTE[colour], x, y, RADII[size])
    return Scene((thing,), Background("plain", (background,), (PALETTE[background],)))


def main() -> None:
    """Write every target."""
    for name, parts in TARGETS.items():
        Image.fromarray(render(scene(*parts))).save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
