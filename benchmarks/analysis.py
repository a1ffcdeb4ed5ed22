"""Do words that fix an attribute rank above filler words?  50 prompts on the embedded model, measured by `analyze`.

python -m benchmarks.analysis --json
python -m benchmarks.analysis --prompts 5 --seeds 8 --by likelihood

`above`: the attribute words of a prompt (colour, shape, size, place, background) move the image, or the misfit, more on
the mean than its filler words.  `ranks`: their mean rank is above that of the filler words.  `pairs`: share of the
(attribute, filler) pairs of words in the right order.  `right`: of two rivals the one that the target has is the one
that brings it nearer, raised rather than lowered.  Where both analyses were made, `agree`: Spearman's correlation
of their orders; `sign`: share of the changes of fit that both prove which have the same sign.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from prompt_pins.config import AnalysisOptions, RunConfig
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.store import Runs
from prompt_pins.words.analyze import start as analyze
from prompt_pins.words.result import Analysis, AnalysisDone

from benchmarks.search_tasks import world

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "ring")
SIZES = ("small", "large")
PLACES = ("left", "right", "top", "bottom", "center")
FILLERS = ("nice", "beautiful", "simple", "detailed", "masterpiece", "minimal")
RIVALS = ("colour", "shape", "size", "place", "background", "")


@dataclasses.dataclass(frozen=True)
class Task:
    """A prompt, which of its words fix an attribute and which mean nothing, and a target that the world draws."""

    prompt: str
    attributes: tuple[str, ...]
    fillers: tuple[str, ...]
    rivals: tuple[str, ...]
    target: np.ndarray


def tasks(count: int) -> Iterator[Task]:
    """The first `count` prompts: two rivals of each kind in turn, of which the target has the first, or no rivals.

    Size, place and background are said only where they have rivals, or where nothing has.
    """
    rng = np.random.default_rng(8)
    for index in range(count):
        rivals = RIVALS[index % len(RIVALS)]
        fillers = [str(word) for word in rng.permutation(FILLERS)[:2]]
        colours = iter([str(word) for word in rng.permutation(COLOURS)])
        drawn = {"size": SIZES, "shape": SHAPES, "place": PLACES}
        words = {
            kind: [str(word) for word in rng.permutation(among)[: 2 if kind == rivals else 1]]
            for kind, among in drawn.items()
        }
        words |= {kind: [next(colours) for _ in range(2 if kind == rivals else 1)] for kind in ("colour", "background")}
        said = {
            kind: " ".join(row) if kind in ("colour", "shape", rivals) or not rivals else ""
            for kind, row in words.items()
        }
        place = f" (at the:=1) {said['place']}" if said["place"] else ""
        background = f", {said['background']} (background:=1)" if said["background"] else ""
        thing = " ".join(filter(None, (said["size"], said["colour"], said["shape"])))
        attributes = tuple(word for kind, row in words.items() if said[kind] for word in row)
        prompt = f"(a:=1) {fillers[0]} {thing}{place}{background}, {fillers[1]}"
        yield Task(
            prompt,
            attributes,
            tuple(fillers),
            tuple(words.get(rivals, ())),
            _drawn({kind: row[0] for kind, row in words.items()}, rng),
        )


def _drawn(words: Mapping[str, str], rng: np.random.Generator) -> np.ndarray:
    """uint8, H x W x 3."""
    w = world()
    thing = w.make_thing(words["shape"], words["colour"], words["size"], words["place"], rng)
    colour = words["background"]
    picture: np.ndarray = w.render(w.Scene((thing,), w.Background("plain", (colour,), (w.PALETTE[colour],))))
    return picture


Line = dict[str, Any]
BY = ("images", "likelihood")


def measure(task: Task, host: HeadlessHost, seeds: int, steps: int, by: str = "images") -> Line:
    """Analyze one prompt, and compare the ranks of its words."""
    result: Analysis | None = None
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        target = Path(out, "target.png")
        Image.fromarray(task.target).save(target)
        config = RunConfig(prompt=task.prompt, steps=steps, batch_size=8, cfg_scale=5.0, target=(str(target),))
        for event in analyze(config, AnalysisOptions(by=by, analysis_seeds=seeds), host, Runs(Path(out))):
            result = event.result if isinstance(event, AnalysisDone) else result
    assert result is not None
    return {
        "prompt": task.prompt,
        "by": by,
        **ranked(task, {word.label: word.image.mean for word in result.words}),
        **weighed(task, fits(result)),
        "evaluations": result.evaluations,
        "seconds": round(time.perf_counter() - started, 1),
    }


def ranked(task: Task, moved: Mapping[str, float]) -> Line:
    """What the order of the words says.  moved: by word, in the order of the analysis."""
    place = {label: rank for rank, label in enumerate(moved, 1)}
    groups = (task.attributes, task.fillers)
    means = [float(np.mean([moved[word] for word in group])) for group in groups]
    ranks = [float(np.mean([place[word] for word in group])) for group in groups]
    return {
        "above": means[0] > means[1],
        "ranks": ranks[0] < ranks[1],
        "pairs": float(np.mean([place[a] < place[f] for a in task.attributes for f in task.fillers])),
        "moved": {label: round(value, 4) for label, value in moved.items()},
        "fillers": list(task.fillers),
    }


def fits(result: Analysis) -> dict[str, tuple[float, bool]]:
    """(change of the fit, whether it is proven) of each side of each word."""
    sides = [(word.label, name, getattr(word, name)) for word in result.words for name in ("lowered", "raised")]
    return {f"{label} {name}": (side.fit.mean, side.fit.proven) for label, name, side in sides if side is not None}


def weighed(task: Task, found: Mapping[str, tuple[float, bool]]) -> Line:
    """Whether the effects on the fit tell the rivals apart; no `right` where there are none."""
    rises = [found[f"{word} raised"][0] - found[f"{word} lowered"][0] for word in task.rivals]
    return {"fits": dict(found), **({"right": rises[0] < rises[1]} if rises else {})}


def compared(images: Line, likelihood: Line) -> Line:
    """How far two analyses of one prompt agree, and what the second costs of the first."""
    both = [[line["moved"][label] for label in images["moved"]] for line in (images, likelihood)]
    places = [np.argsort(np.argsort(row)) for row in both]
    proven = [
        (fit, likelihood["fits"][side][0])
        for side, (fit, sure) in images["fits"].items()
        if sure and likelihood["fits"][side][1]
    ]
    return {
        "agree": float(np.corrcoef(*places)[0, 1]),
        "proven": len(proven),
        "same": sum((a > 0) == (b > 0) for a, b in proven),
        **{name: likelihood[name] / images[name] for name in ("evaluations", "seconds")},
    }


def total(lines: Sequence[Line]) -> Line:
    """The shares over all prompts of one kind of analysis."""
    sums = {name: float(np.sum([line[name] for line in lines])) for name in ("evaluations", "seconds")}
    shares = {name: float(np.mean([line[name] for line in lines])) for name in ("above", "ranks", "pairs")}
    right = [line["right"] for line in lines if "right" in line]
    return {"by": lines[0]["by"], "prompts": len(lines), **shares, "rivals": len(right), "right": _mean(right), **sums}


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0


def agreement(lines: Sequence[Line]) -> Line:
    """Of all comparisons: the mean of the correlations, the pooled signs, the median of the costs."""
    proven = sum(line["proven"] for line in lines)
    return {
        "prompts": len(lines),
        "agree": float(np.mean([line["agree"] for line in lines])),
        "proven": proven,
        "sign": sum(line["same"] for line in lines) / max(proven, 1),
        **{name: float(np.median([line[name] for line in lines])) for name in ("evaluations", "seconds")},
    }


def main() -> None:
    """Print a line for each prompt and analysis, then the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON lines")
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--by", choices=BY, help="only one of the two analyses")
    given = parser.parse_args()
    host = HeadlessHost(device="cpu")
    kinds = [given.by] if given.by else list(BY)
    found: dict[str, list[Line]] = {kind: [] for kind in kinds}
    for task in tasks(given.prompts):
        for kind, lines in found.items():
            line = measure(task, host, given.seeds, given.steps, kind)
            lines.append(line)
            text = f"{kind:10}  {line['above']!s:5}  {line['pairs']:.2f}  {line['seconds']:6.1f} s  {task.prompt}"
            print(json.dumps(line) if given.json else text, flush=True)
    for lines in found.values():
        print(json.dumps(total(lines)))
    if not given.by:
        print(json.dumps(agreement([compared(*pair) for pair in zip(*found.values(), strict=True)])))


if __name__ == "__main__":
    main()
