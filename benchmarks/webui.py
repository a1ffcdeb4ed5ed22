"""What the extension costs and leaves behind in a running WebUI, measured through its API.

python -m benchmarks.webui samplers|overhead|memory|interrupt|plain|words --url http://127.0.0.1:7860
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import statistics
import threading
import time
import urllib.request
from typing import Any

SAMPLERS = ("DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 3M SDE", "DPM++ 2S a", "Euler", "Euler a", "Heun")
PROMPT = "a red circle above a blue square on a white background"
JOB = {"prompt": PROMPT, "width": 128, "height": 128, "steps": 20, "batch_size": 8, "seed": 5, "cfg_scale": 4}
SMALL = {"steps": 4, "batch_size": 2, "width": 64, "height": 64}
ALONE = {"held_out": 0, "finalists": 0, "preset": "Classic"}
WARM_UP = 100
COLOURS, SHAPES = ("red", "green", "blue", "yellow", "black"), ("circle", "square", "triangle", "star", "ring")
COUNTS, REPEATS = (20, 75, 150, 300), 5


class Webui:
    """A running WebUI."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")

    def call(self, path: str, body: Any = None) -> Any:
        """Decoded JSON of a request; POST if there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=3600) as answer:
            return json.loads(answer.read())

    def render(self, sampler: str, **values: Any) -> list[str]:
        """SHA-256 of each image's file of a plain job."""
        answer = self.call("/sdapi/v1/txt2img", {**JOB, "sampler_name": sampler, "do_not_save_grid": True, **values})
        return [hashlib.sha256(image.encode()).hexdigest() for image in answer["images"]]

    def pin(self, options: dict[str, Any], sampler: str = "DPM++ 2M - Hyperbatch", **values: Any) -> dict[str, Any]:
        """What the script says of a run."""
        job = {**JOB, "sampler_name": sampler, **values, "script_name": "prompt pinning", "script_args": [options]}
        info = json.loads(self.call("/sdapi/v1/txt2img", job)["info"])
        found: dict[str, Any] = info["extra_generation_params"]["Prompt pins"]
        return found

    def candidates(self, run: str) -> list[dict[str, Any]]:
        """As the journal has them."""
        path = f"{self.url}/prompt-pins/v1/runs/txt2img/{run}/journal.jsonl"
        with urllib.request.urlopen(path, timeout=60) as answer:
            lines = [json.loads(line) for line in answer.read().decode().splitlines()]
        return [line for line in lines if line["kind"] == "candidate"]

    def megabytes(self) -> float:
        """Resident memory of the WebUI's process."""
        used: float = self.call("/sdapi/v1/memory")["ram"]["used"]
        return used / 2**20


def samplers(webui: Webui) -> dict[str, Any]:
    """Five generations with each sampler: the number of candidates, and of different losses among them."""
    found = {}
    for name in SAMPLERS:
        run = webui.pin({**ALONE, "generations": 5}, f"{name} - Hyperbatch", **{**SMALL, "width": 128, "height": 128})
        losses = [candidate["loss"] for candidate in webui.candidates(run["run"])]
        found[name] = {"candidates": len(losses), "different_losses": len(set(losses)), "failed": losses.count(None)}
    return found


def overhead(webui: Webui) -> dict[str, Any]:
    """The share of a run's time outside `process_images`, with the default batch and steps and all defaults."""
    run = webui.pin({"generations": 5})
    return {**run, "overhead": round(1 - run["rendering_seconds"] / run["seconds"], 4)}


def memory(webui: Webui) -> dict[str, Any]:
    """Growth of the process over 300 candidates, after as many as fill its caches."""
    webui.pin({**ALONE, "lambda_": 20, "generations": WARM_UP // 20}, **SMALL)
    before = webui.megabytes()
    series = [before]
    for _ in range(3):
        webui.pin({**ALONE, "lambda_": 20, "generations": 5, "initial_std": 0.2}, **SMALL)
        series.append(webui.megabytes())
    return {
        "candidates": 300,
        "megabytes": [round(value, 1) for value in series],
        "growth": round(series[-1] - before, 1),
    }


def plain(webui: Webui) -> dict[str, Any]:
    """The digests of a plain batch."""
    return {"images": webui.render("DPM++ 2M")}


def interrupt(webui: Webui) -> dict[str, Any]:
    """The digests of a plain batch whose prompt's hyperbatch was interrupted while the tree grew, and once skipped."""
    steps = []
    for action in ("interrupt", "skip"):
        job = threading.Thread(target=webui.render, args=("DPM++ 2M - Hyperbatch",), kwargs={"steps": 100})
        job.start()
        state: dict[str, Any] = {}
        while state.get("sampling_step", 0) < 30 and job.is_alive():
            time.sleep(0.05)
            state = webui.call("/sdapi/v1/progress?skip_current_image=true")["state"]
        webui.call(f"/sdapi/v1/{action}", {})
        steps.append(state["sampling_step"])
        job.join()
    return {"stopped_at_steps": steps, "of": 100, **plain(webui)}


def words(webui: Webui) -> dict[str, Any]:
    """A batch of a run by a plain one of the same prompt, sampler, steps and size: medians of rounds, taking turns.

    rendering: the time in `process_images` alone; whole: the run's, with scoring, journal, page and the first batch.
    A plain batch's prompt is a new one each time, as a candidate's is, so that the host encodes it.
    """
    found = {}
    sampler = "DPM++ 2M - Hyperbatch"
    for count in COUNTS:
        terms = [f"{colour} {shape}" for colour, shape in itertools.product(COLOURS, SHAPES)]
        text = ", ".join((terms * 6)[: count // 2]) + (" end" if count % 2 else "")
        rows: dict[str, list[float]] = {"plain": [], "rendering": [], "whole": []}
        for number in range(REPEATS):
            started = time.perf_counter()
            for batch in range(3):
                webui.render(sampler, prompt=f"{text} {number} {batch}")
            rows["plain"].append((time.perf_counter() - started) / 3)
            run = webui.pin({**ALONE, "lambda_": 6, "generations": 2, "gifs": False}, sampler, prompt=text)
            batches = sum(candidate["evaluations"] > 0 for candidate in webui.candidates(run["run"]))
            rows["rendering"].append(run["rendering_seconds"] / batches)
            rows["whole"].append(run["seconds"] / batches)
        medians = {name: statistics.median(values) for name, values in rows.items()}
        ratios = {name: statistics.median(map(float.__truediv__, rows[name], rows["plain"])) for name in rows}
        found[count] = {
            "plain_seconds": round(medians["plain"], 2),
            **{name: round(ratios[name], 3) for name in ("rendering", "whole")},
            "ranges": {name: [round(f(values), 2) for f in (min, max)] for name, values in rows.items()},
        }
    return found


TASKS = {task.__name__: task for task in (samplers, overhead, memory, plain, interrupt, words)}


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--url", default="http://127.0.0.1:7860")
    chosen = parser.parse_args()
    print(json.dumps({chosen.task: TASKS[chosen.task](Webui(chosen.url))}, indent=1))


if __name__ == "__main__":
    main()
