"""By eye against ꟻLIP: a scripted user in Chromium, who has a blue circle in mind, ranks candidates on their page.

    python -m benchmarks.eye --json

It sees nothing but the page: it draws each image onto a canvas, and prefers the candidate whose images are in the mean
nearest to the picture in its mind, by plain differences of colours.  Both pinned prompts are then valued by ꟻLIP on the
same unseen seeds.  Playwright and Chromium are needed.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Page, sync_playwright
from prompt_pins.cli.arguments import read_config
from prompt_pins.cli.serve import make_server
from prompt_pins.config import RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.loss import score_batch
from prompt_pins.run import contest, pin, seeds
from prompt_pins.run.scoring import loss_options
from prompt_pins.run.targets import read_targets
from prompt_pins.store import Candidate, RunFolder, Runs, events

TASK = Path(__file__).parent / "tasks" / "rival-colours.toml"
GENERATIONS = 12
WAIT = 10**9  # milliseconds
FAR = """async (wanted) => {
    const side = 32, canvas = new OffscreenCanvas(side, side);
    const context = canvas.getContext("2d", {willReadFrequently: true});
    const pixels = (image) => {
        context.drawImage(image, 0, 0, side, side);
        return context.getImageData(0, 0, side, side).data;
    };
    const mind = new Image();
    mind.src = wanted;
    await mind.decode();
    const there = Array.from(pixels(mind));
    const far = (image) => pixels(image).reduce((sum, value, i) => sum + Math.abs(value - there[i]), 0);
    const shown = [...document.querySelectorAll(".card, .pair")];
    const found = [];
    for (const one of shown) {
        const images = [...one.querySelectorAll("img")];
        for (const image of images) image.loading = "eager";
        await Promise.all(images.map((image) => image.decode()));
        found.push(images.map(far));
    }
    return found;
}"""


def rank(page: Page, wanted: str) -> None:
    """Answer the page's question by keyboard, as somebody would who has the picture `wanted` (a data URL) in mind."""
    far: list[list[float]] = page.evaluate(FAR, wanted)
    if page.query_selector(".pair"):
        for place, (left, right) in enumerate(far):
            page.focus(f"input[name=pair{place}] >> nth={0 if left < right else 2}")
            page.keyboard.press("Space")
    else:
        means = [sum(row) / len(row) for row in far]
        for card in sorted(range(len(means)), key=means.__getitem__):
            page.focus(f".card >> nth={card}")
            page.keyboard.press("Enter")
    number = page.evaluate("JSON.parse(document.getElementById('data').textContent).question")
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "n => JSON.parse(document.getElementById('data').textContent).question !== n", arg=number, timeout=WAIT
    )


def by_eye(config: RunConfig, host: HeadlessHost, wanted: str, root: Path) -> RunFolder:
    """A run to its end, ranked on its page."""
    started, folders = threading.Event(), list[RunFolder]()

    def work() -> None:
        for event in pin.start(config, host, Runs(root)):
            if isinstance(event, events.RunStarted):
                folders.append(event.folder)
                started.set()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    started.wait()
    with make_server(root, 0) as server, sync_playwright() as driver:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/{folders[0].path.name}/eye/")
        while thread.is_alive():
            with contextlib.suppress(Error):  # the page was replaced by the next one while it was looked at
                if page.query_selector("#send"):
                    rank(page, wanted)
            page.wait_for_timeout(200)
        browser.close()
        server.shutdown()
    return folders[0]


def gain(config: RunConfig, host: HeadlessHost, original: Candidate, pinned: Candidate) -> tuple[float, float, float]:
    """By ꟻLIP on unseen seeds: 1 - pinned / original, and its interval."""
    targets, row, fits = read_targets(config, host), seeds.held_out_seeds(config.seed, 32), []
    for one in (original, pinned):
        batches = [host.render(contest.recipe(one), part, config, forked=False) for part in (row[:16], row[16:])]
        scored = [score_batch(b.images, targets, None, loss_options(config)) for b in batches]
        fits.append([fit for loss in scored for fit, _ in loss.per_image])
    return contest.improvement(*fits, seed=0)


def measure(cma_seed: int) -> dict[str, Any]:
    """Both runs of one seed."""
    host = HeadlessHost()
    values = {**read_config(TASK), "gifs": False, "plots": False, "cma_seed": cma_seed}
    config = RunConfig.from_dict(values)
    wanted = "data:image/png;base64," + base64.b64encode(Path(config.target[0]).read_bytes()).decode()
    eye = RunConfig.from_dict({**values, "target": [], "loss_objectives": ["taste"], "generations": GENERATIONS})
    found: dict[str, Any] = {"cma_seed": cma_seed}
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        folder = by_eye(eye, host, wanted, Path(out) / "eye")
        found["seconds_eye"] = time.perf_counter() - started
        for _ in pin.start(config, host, Runs(Path(out) / "flip")):
            pass
        for name, record in (("eye", folder.record()), ("flip", RunFolder(Path(out) / "flip" / "00000000").record())):
            assert record.best is not None and record.original is not None
            found[name] = gain(config, host, record.original, record.best)
            found[f"{name}_prompt"], found[f"{name}_generations"] = record.best.prompt, len(record.generations)
            found[f"{name}_images"] = sum(len(c.images) for c in record.candidates)
    found["share"] = found["eye"][0] / found["flip"][0]
    return found


def main() -> None:
    """Print a line for each seed, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    for cma_seed in range(arguments.seeds):
        found = measure(cma_seed)
        words = f"seed {cma_seed}: by eye {found['eye'][0]:.0%}, by ꟻLIP {found['flip'][0]:.0%}"
        print(json.dumps(found) if arguments.json else words, flush=True)


if __name__ == "__main__":
    main()
