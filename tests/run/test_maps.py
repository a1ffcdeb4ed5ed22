"""Error maps of the best candidate of each generation: written by the run, shown by its pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from prompt_pins import report
from prompt_pins.config import RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.run import pin
from prompt_pins.store import Runs


def test_every_generations_best_has_maps_and_pages_show_them(
    model: HeadlessHost, config: RunConfig, tmp_path: Path
) -> None:
    with report.LiveReport() as live:
        for event in pin.start(config, model, Runs(tmp_path)):
            live.handle(event)
    root = tmp_path / "00000000"
    record = Runs(tmp_path).find("0").record()
    owner = {candidate.id: candidate for candidate in reversed(record.candidates)}
    for generation in record.generations:
        best = owner[str(generation.best)]
        maps = sorted((root / best.folder).glob("map-*.png"))
        assert len(maps) == config.batch_size
        picture = np.asarray(Image.open(maps[0]).convert("RGB")).astype(int)
        assert picture.shape == (128, 128, 3) and picture.std() > 1
        page = (root / f"{generation.generation:08d}" / "index.html").read_text("utf-8")
        assert f"{best.folder}/map-00000.png" in page
        assert 'src="map-00000.png"' in (root / best.folder / "index.html").read_text("utf-8")
    pages = {path: path.read_bytes() for path in root.rglob("*.html")}
    report.build(Runs(tmp_path).find("0"))
    assert pages == {path: path.read_bytes() for path in root.rglob("*.html")}
    for path in root.rglob("map-*.png"):
        path.unlink()
    report.build(Runs(tmp_path).find("0"))
    assert "map-0" not in "".join(path.read_text("utf-8") for path in root.rglob("*.html"))
