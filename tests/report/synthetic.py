"""Synthetic runs: a real journal written through the store, real images drawn with numpy, an invented search.

The loss is a known quadratic of the weights plus noise, so an analysis can be checked against the truth.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from prompt_pins.search.downhill import downhill
from prompt_pins.store import (
    FORMAT_VERSION,
    Axis,
    Candidate,
    Choice,
    Generation,
    Held,
    Likely,
    Measured,
    RunFolder,
    Wording,
    axes_json,
    events,
    to_json,
)
from prompt_pins.store.folder import save_image

HOSTILE = "<script>alert(1)</script>\"'&</table>"
WORDS = ("a", "red", "blue", "circle", "on", "a", "white", "background")
TIME = "2026-01-02T03:04:05+00:00"


@dataclasses.dataclass(frozen=True)
class Shape:
    """How large a synthetic run is, and what goes wrong in it.

    likely: what was known before the first image: "" (not asked), "nothing", "better" or "worse" than the original.
    progress: whether generations have the figure.  measured: whether the pinned prompt's words are.
    """

    generations: int = 6
    population: int = 5
    batch: int = 4
    size: int = 64
    words: tuple[str, ...] = WORDS
    negative: tuple[str, ...] = ("blurry", HOSTILE)
    failures: bool = True
    held: int = 4
    finished: bool = True
    objectives: int = 1
    images: bool = True
    seed: int = 1
    levels: tuple[tuple[int, ...], ...] = ()
    keep_images: str = "all"
    likely: str = ""
    progress: bool = True
    measured: bool = False

    @property
    def tree(self) -> tuple[tuple[int, ...], ...]:
        """Levels of an even tree over the batch."""
        if self.levels:
            return self.levels
        rows, nodes = [], 1
        while True:
            rows.append(tuple(leaf % nodes for leaf in range(self.batch)))
            if nodes >= self.batch:
                return tuple(rows)
            nodes = min(2 * nodes, self.batch)


def truth(count: int) -> tuple[np.ndarray, np.ndarray]:
    """(optimum, curvature) of the invented loss, each (count,)."""
    rng = np.random.default_rng(7)
    return rng.uniform(0.4, 1.6, count), rng.uniform(0.02, 0.4, count)


def draw(weights: np.ndarray, shape: Shape, seed: int) -> np.ndarray:
    """One uint8 image, size x size x 3: a disc on a gradient, moved and tinted by the weights and the seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : shape.size * 1j, 0 : 1 : shape.size * 1j]
    wobble = rng.normal(0, 0.12, 2) * np.clip(weights.std() + 0.3, 0, 1)
    red = float(np.clip(weights[1 % len(weights)] / 2, 0, 1))
    blue = float(np.clip(weights[2 % len(weights)] / 2, 0, 1))
    image = np.stack([0.9 - 0.3 * y, 0.9 - 0.3 * x, 0.85 + 0 * x], axis=-1)
    disc = ((x - 0.5 - wobble[0]) ** 2 + (y - 0.5 - wobble[1]) ** 2 < 0.07)[..., None]
    colour = np.array([red, 0.15, blue])
    image = np.where(disc, colour * (1 - 0.3 * y[..., None]), image) + rng.normal(0, 0.01, image.shape)
    return np.asarray((np.clip(image, 0, 1) * 255).round(), dtype=np.uint8)


def _text(words: tuple[str, ...], weights: np.ndarray) -> str:
    return " ".join(w if abs(v - 1) < 5e-4 else f"({w}:{v:.3f})" for w, v in zip(words, weights))


class SyntheticRun:
    """Writes a run step by step, as the run loop does; `events` yields the run loop's events."""

    def __init__(self, path: Path, shape: Shape = Shape()) -> None:
        self.shape = shape
        self.folder = RunFolder(path)
        self.rng = np.random.default_rng(shape.seed)
        self.words = shape.words + shape.negative
        self.count = len(self.words)
        self.optimum, self.curvature = truth(self.count)
        self.candidates: list[Candidate] = []
        self.pictures: dict[str, np.ndarray] = {}
        self.begin: np.ndarray | None = None

    def write(self) -> RunFolder:
        """All of the run at once."""
        for _ in self.events():
            pass
        return self.folder

    def events(self) -> Generator[events.Event, None, None]:
        """One event after each journal record."""
        self.folder.path.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(self.folder), self.folder.open() as self.journal:
            self.journal.append(self._head())
            yield events.RunStarted(self.folder, self.folder.record())
            yield self._target()
            if self.shape.likely:
                yield self._likely()
            mean, step = np.ones(self.count), 0.25
            for number in range(1, self.shape.generations + 1):
                rows = mean + step * self.rng.standard_normal((self.shape.population, self.count))
                if number == 1:
                    rows[0] = 1.0
                    if self.begin is not None:
                        rows[1] = self.begin
                done = []
                for index, row in enumerate(np.clip(rows, 0, 2).round(3)):
                    done.append(self._candidate(number, index, row))
                    self.journal.append(to_json(done[-1]))
                    yield events.CandidateDone(done[-1], self.pictures.pop(done[-1].folder, None))
                mean = mean + 0.3 * (self.optimum - mean)
                step *= 0.93
                yield self._generation(number, done, mean, step)
            if self.shape.finished:
                yield from self._end()

    def _head(self) -> dict[str, Any]:
        shape = self.shape
        config = {
            "prompt": " ".join(shape.words),
            "negative_prompt": " ".join(shape.negative),
            "batch_size": shape.batch,
            "seed": 1,
            "sampler": "DPM++ 2M - Hyperbatch",
            "steps": 20,
            "keep_images": shape.keep_images,
            "held_out": shape.held,
            "image_format": "png",
            "gifs": True,
            "plots": True,
        }
        size = len(shape.words)
        sides = ["negative" if index >= size else "prompt" for index in range(self.count)]
        space = axes_json(Axis(word, 1.0, 0.0, 2.0, side=side) for word, side in zip(self.words, sides, strict=True))
        plan = {
            "population": shape.population,
            "generations": shape.generations,
            "batch_size": shape.batch,
            "levels": [list(level) for level in shape.tree],
            "evaluations": 75,
            "plain_evaluations": 160,
        }
        host = {"name": "headless", "checkpoint": "embedded", "versions": {"torch": "2.13.0"}}
        head = {"kind": "run", "version": FORMAT_VERSION, "time": TIME}
        return head | {"config": config, "host": host, "space": space, "plan": plan}

    def _target(self) -> events.TargetReady:
        name = "00000000/target-00000.png"
        if self.shape.images:
            save_image(self.folder.path / name, draw(self.optimum, self.shape, 99))
        self.journal.append({"kind": "target", "source": "images", "images": [name]})
        return events.TargetReady("images", (name,))

    def _likely(self) -> events.LikelyDone:
        """Slopes as the loss has them, seen through noise; the words with the flattest do nothing."""
        rng, shape = np.random.default_rng(3), self.shape
        slopes = 2.0 * self.curvature * (1.0 - self.optimum)
        slopes[np.abs(slopes) < 0.1] = 0.0
        sign = {"nothing": 0.0, "worse": -1.0}.get(shape.likely, 1.0)
        looks = 1.0 + 0.3 * (sign * slopes[:, None] + rng.normal(0.0, 0.02, (self.count, 8)) * (sign != 0.0))
        values = np.vstack([np.ones(8), looks])
        mean = downhill(values, [0.3] * self.count, np.ones(self.count), 0.6)
        words = ("", "")
        if mean.size:
            self.begin = mean.round(3)
            size = len(shape.words)
            words = _text(shape.words, self.begin[:size]), _text(shape.negative, self.begin[size:])
        table = tuple(map(tuple, values.tolist()))
        found = Likely(table, (0.3,) * self.count, values.size, tuple(mean.tolist()), 0.25, *words, {"wall": 1.5})
        self.journal.append(to_json(found))
        return events.LikelyDone(found)

    def loss_of(self, weights: np.ndarray) -> float:
        """The invented loss of a weight vector, with noise."""
        value = 0.15 + float(self.curvature @ (weights - self.optimum) ** 2) / self.count
        return value + float(self.rng.normal(0, 0.004))

    def _candidate(self, number: int, index: int, weights: np.ndarray) -> Candidate:
        shape, size = self.shape, len(self.shape.words)
        prompt, negative = _text(shape.words, weights[:size]), _text(shape.negative, weights[size:])
        name = hashlib.sha256(f"{prompt}|{negative}".encode()).hexdigest()[:16]
        seeds = [1 + leaf for leaf in range(shape.batch)]
        images = tuple(f"{leaf:05d}-{seed}.png" for leaf, seed in enumerate(seeds))
        blank = Candidate(
            number,
            index,
            name,
            tuple(map(float, weights)),
            prompt,
            negative,
            None,
            None,
            None,
            f"{number:08d}/{name}",
            images,
            75,
            "",
            {"render": 1.0, "score": 0.1},
        )
        if shape.failures and number == 2 and index == 1:
            return dataclasses.replace(blank, images=(), evaluations=0, error=f"out of memory {HOSTILE}")
        folder = self.folder.path / blank.folder
        loss = self.loss_of(weights)
        if shape.images:
            self.pictures[blank.folder] = np.stack([draw(weights, shape, seed) for seed in seeds])
            for picture, file in zip(self.pictures[blank.folder], images):
                save_image(folder / file, picture, prompt)
        stats = self._stats(loss, weights, seeds)
        head = {"id": name, "prompt": prompt, "negative_prompt": negative, "seeds": seeds, "images": list(images)}
        self.folder.save_json(f"{blank.folder}/batch_stats.json", head | stats)
        return dataclasses.replace(blank, loss=loss, fit=stats["fit"], spread=stats["spread"])

    def _stats(self, loss: float, weights: np.ndarray, seeds: list[int]) -> dict[str, Any]:
        size = len(seeds)
        fits = np.clip(self.rng.normal(loss, 0.03, size), 0, 1)
        spreads = np.clip(self.rng.normal(loss * 0.7, 0.02, (size, size)), 0, 1)
        pairs: list[dict[str, Any]] = [{"image": i, "target": 0, "loss": float(fit)} for i, fit in enumerate(fits)]
        pairs += [
            {"image": i, "other": j, "loss": float(spreads[i, j])} for i in range(size) for j in range(i + 1, size)
        ]
        levels = [
            {"level": k, "x": loss / k, "term": loss / k, "nodes": [loss] * len(set(row)), "parted": loss * 0.7 / k}
            for k, row in enumerate(self.shape.tree, 1)
        ]
        levels[-1]["parted"] = None
        words, cut = self.words, len(self.shape.words)
        both = list(zip(words, map(float, weights)))
        return {
            "calculated_loss": loss,
            "calculated_loss_list": [pair["loss"] for pair in pairs],
            "fit": float(fits.mean()),
            "spread": float(spreads.mean()) if size > 1 else None,
            "mean": loss,
            "std": 0.03,
            "per_image": [{"fit": float(fit), "spread": loss * 0.7} for fit in fits],
            "per_level": levels,
            "pairs": pairs,
            "levels": [list(row) for row in self.shape.tree],
            "pos_weights": [list(pair) for pair in both[:cut]],
            "neg_weights": [list(pair) for pair in both[cut:]],
        }

    def _generation(self, number: int, done: list[Candidate], mean: np.ndarray, step: float) -> events.GenerationDone:
        self.candidates += done
        best = min((c for c in done if c.loss is not None), key=lambda c: c.loss or 0.0)
        std = step * (1.2 - self.curvature)
        state: dict[str, Any] = {
            "generation": number,
            "evaluations": number * self.shape.population,
            "restart": 0,
            "step_size": step,
            "axis_ratio": 1 + 0.2 * number,
            "mean": mean.tolist(),
            "std": std.tolist(),
            "best_loss": best.loss,
        }
        if self.begin is not None:
            state["fell_back"] = self.shape.likely == "worse"
        if self.shape.objectives == 2:
            points = [(c.loss, float(np.linalg.norm(np.array(c.weights) - 1))) for c in self.candidates if c.loss]
            state["front"] = [[a, b] for a, b in points if not any(x < a and y < b for x, y in points)]
        share = 0.95**number if self.shape.progress else None
        record = Generation(number, best.id, tuple(c.loss for c in done), state, {"wall": 5.5}, share)
        self.journal.append(to_json(record))
        return events.GenerationDone(record)

    def _end(self) -> Iterator[events.Event]:
        ranked = sorted((c for c in self.candidates if c.loss is not None), key=lambda c: c.loss or 0.0)
        fits = tuple(tuple(float(v) for v in self.rng.normal(c.loss or 0, 0.01, 4)) for c in ranked[:3])
        choice = Choice((91, 92, 93, 94), tuple(c.id for c in ranked[:3]), fits, ranked[0].id, 240, {"wall": 4.0})
        self.journal.append(to_json(choice))
        yield events.Chosen(choice)
        if self.shape.held:
            held = self._held(ranked[0])
            self.journal.append(to_json(held))
            yield events.Validated(held)
        for axis in range(self.count if self.shape.measured else 0):
            fits = tuple(0.123 - 0.1 * (axis % 3) + 0.004 * seed for seed in range(-4, 4))
            raised = Wording(2.0, "", "", (0.3,) * 8, fits, fits)
            label, side = self.words[axis], "negative" if axis >= len(self.shape.words) else "prompt"
            word = Measured(label, side, ranked[0].weights[axis], 160, raised=raised, seconds={"wall": 1.0})
            self.journal.append(to_json(word))
            yield events.WordMeasured(word, axis + 1, self.count)
        reason = f"no progress for 8 generations {HOSTILE}"
        self.journal.append({"kind": "finished", "reason": reason, "time": "2026-01-02T03:09:05+00:00"})
        yield events.RunFinished("finished", reason)

    def _held(self, best: Candidate) -> Held:
        seeds = tuple(range(900, 900 + self.shape.held))
        paths: list[tuple[str, ...]] = []
        for role, weights in (("original", np.ones(self.count)), ("pinned", np.array(best.weights))):
            names = tuple(f"unseen/{role}/{index:05d}-{seed}.png" for index, seed in enumerate(seeds))
            for seed, name in zip(seeds, names):
                if self.shape.images:
                    save_image(self.folder.path / name, draw(weights, self.shape, seed))
            paths.append(names)
        original = tuple(float(v) for v in self.rng.normal(0.3, 0.02, len(seeds)))
        pinned = tuple(float(v) for v in self.rng.normal(0.17, 0.02, len(seeds)))
        return Held(seeds, original, pinned, 0.43, 0.36, 0.5, paths[0], paths[1], {"wall": 9.0})
