"""What a hyperbatch saves and what it costs in diversity, on the embedded model.

python -m benchmarks.hyperbatch --json            every sampler, B in 4, 8, 16, 32, S in 10, 20, 30
python -m benchmarks.hyperbatch --json --quick    two samplers, two batch sizes, one step count
python -m benchmarks.hyperbatch --strengths       diversity and cost of the fork strength
python -m benchmarks.hyperbatch --policies        evaluations and diversity of the fork policies
python -m benchmarks.hyperbatch --plot FILE       pictures and tables of a result that --out FILE has kept

Trees and independent batches alternate in one process and one thread.  The denoiser is timed by itself at every
batch size between them, and what it took predicts how much faster the tree should be.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from prompt_pins.headless.autoencoder import DOWN
from prompt_pins.headless.denoiser import Denoiser
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.host import Recipe
from prompt_pins.loss.ldrflip import mean_errors
from prompt_pins.sampling import SAMPLERS, ForkOptions, fork_schedule, make_hyperbatch
from prompt_pins.sampling.schedule import POLICIES
from torch import Tensor

PROMPTS = (
    "a red circle on a blue background",
    "a large yellow star",
    "a green square on the left and a white ring on the right",
    "a triangle",
)
BATCHES, STEPS = (4, 8, 16, 32), (10, 20, 30)
STRENGTHS = (0.5, 1.0, 1.25, 1.5, 2.0, 3.0, 20.0)
PAIRS = 120
UNGUIDED = 1.0
PIXELS_PER_DEGREE = 67.02
PAIR_MEMORY = 256 << 20
REPEATS = {4: 2, 8: 1, 16: 1, 32: 1}
WARM = 100


@dataclass(frozen=True)
class Seconds:
    """Of the clock on the wall, and of this process alone."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Seconds:
        """To be subtracted from later."""
        return cls(time.perf_counter(), time.process_time())

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.wall - other.wall, self.cpu - other.cpu)


@dataclass
class Counted:
    """A denoiser that counts the images it is given."""

    denoiser: Callable[[Tensor, Tensor], Tensor]
    sizes: list[int] = field(default_factory=list)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.sizes.append(len(x))
        return self.denoiser(x, sigma)


@dataclass(frozen=True)
class Sampled:
    """One batch: uint8 images N x 3 x H x W, the seconds of its sampling, the size of each denoiser call."""

    images: Tensor
    seconds: Seconds
    sizes: list[int]


class Bench(HeadlessHost):
    """The headless host, taken apart: sampling without decoding, and the denoiser alone.

    Unguided by default: guidance doubles the price of both sides alike.
    """

    scale = UNGUIDED

    def guided(self, prompt: str, calls: int) -> Denoiser:
        """The denoiser of one run."""
        model = self.checkpoint
        guidance = self._reader.guidance(Recipe(prompt), calls)
        return Denoiser(self._predictor, model.levels, model.prediction, guidance, self.scale, lambda: None)

    def start(self, seeds: Sequence[int]) -> Tensor:
        """Unit noise of the model's own latent size."""
        side = self.checkpoint.pixels // DOWN
        return self.noise(seeds, (side, side))

    def sample(self, name: str, forks: ForkOptions, prompt: str, seeds: Sequence[int], steps: int) -> Sampled:
        """One batch, timed."""
        info = SAMPLERS[name]
        model = Counted(self.guided(prompt, steps * (2 if info.second_order else 1)))
        sigmas = self.sigmas(steps, "karras")
        x = self.start(seeds) * sigmas[0]
        began = Seconds.now()
        latents = make_hyperbatch(name, forks, seeds=seeds)(model, x, sigmas)
        seconds = Seconds.now() - began
        return Sampled(torch.from_numpy(self._autoencoder.decode(latents)).permute(0, 3, 1, 2), seconds, model.sizes)

    def call_seconds(self, size: int) -> Seconds:
        """Seconds of one denoiser call on `size` images."""
        sigma = self.sigmas(10, "karras")[3]
        x, denoiser = self.start(range(size)) * sigma, self.guided(PROMPTS[0], 1)
        began = Seconds.now()
        denoiser(x, sigma * x.new_ones([size]))
        return Seconds.now() - began


def diversity(images: Tensor) -> float:
    """Mean FLIP error over the pairs of a batch, or over 120 of them drawn once and for all."""
    pairs = list(itertools.combinations(range(len(images)), 2))
    if len(pairs) > PAIRS:
        pairs = random.Random(len(images)).sample(pairs, PAIRS)
    return float(mean_errors(images.contiguous(), pairs, PIXELS_PER_DEGREE, None, PAIR_MEMORY).mean())


def compare(bench: Bench, name: str, batch: int, steps: int, repeats: int) -> dict[str, Any]:
    """One cell of the table: trees against independent batches of one sampler, batch size and step count."""
    sizes = sorted(set(fork_schedule(batch, steps, "even").sizes))
    alone: dict[int, list[Seconds]] = {size: [] for size in sizes}
    runs: dict[str, list[Sampled]] = {"even": [], "none": []}
    for repeat in range(repeats):
        seeds = range(1000 * repeat + 1, 1000 * repeat + 1 + batch)
        prompt = PROMPTS[(repeat + batch + steps) % len(PROMPTS)]
        order = ("even", "none") if (repeat + steps // 10) % 2 else ("none", "even")
        for policy in order:
            runs[policy].append(bench.sample(name, ForkOptions(policy), prompt, seeds, steps))
            for size in sizes:
                alone[size].append(bench.call_seconds(size))
    tree, plain = runs["even"], runs["none"]
    wall, cpu = (speedups(tree, plain, alone, clock) for clock in ("wall", "cpu"))
    spread = {key: statistics.fmean(diversity(run.images) for run in value) for key, value in runs.items()}
    schedule = fork_schedule(batch, steps, "even")
    return {
        "sampler": name,
        "batch_size": batch,
        "steps": steps,
        "repeats": repeats,
        "evaluations": schedule.cost,
        "plain_evaluations": schedule.plain_cost,
        "evaluations_ratio": schedule.cost / schedule.plain_cost,
        "calls_ratio": sum(tree[0].sizes) / sum(plain[0].sizes),
        "wall_ratio": 1 / wall["speedup"],
        **wall,
        **{f"cpu_{key}": value for key, value in cpu.items()},
        "diversity": spread["even"],
        "plain_diversity": spread["none"],
        "diversity_ratio": spread["even"] / spread["none"],
    }


def speedups(
    tree: Sequence[Sampled], plain: Sequence[Sampled], alone: dict[int, list[Seconds]], clock: str
) -> dict[str, Any]:
    """What the denoiser's own times predict, what was measured, and the share that was reached."""
    call = {size: statistics.median(getattr(spent, clock) for spent in times) for size, times in alone.items()}
    predicted = sum(call[size] for size in plain[0].sizes) / sum(call[size] for size in tree[0].sizes)
    spent = [sum(getattr(run.seconds, clock) for run in runs) for runs in (plain, tree)]
    measured = spent[0] / spent[1]
    return {
        "speedup": measured,
        "predicted_speedup": predicted,
        "of_predicted": measured / predicted,
        "call_seconds": {str(size): seconds for size, seconds in call.items()},
    }


def strengths(
    bench: Bench, names: Sequence[str], repeats: int, batch: int = 8, steps: int = 20
) -> Iterator[dict[str, Any]]:
    """Mean pairwise FLIP of trees; of the deterministic samplers' for each fork strength."""
    cases = [(name, rho) for name in names for rho in ((1.0,) if SAMPLERS[name].stochastic else STRENGTHS)]
    plain: dict[str, float] = {}
    for name, strength in cases:
        if name not in plain:
            plain[name] = _mean_diversity(bench, name, ForkOptions("none"), repeats, batch, steps)
        tree = _mean_diversity(bench, name, ForkOptions("even", strength), repeats, batch, steps)
        yield {"sampler": name, "strength": strength, "diversity": tree, "plain_diversity": plain[name]}


def policies(
    bench: Bench, names: Sequence[str], repeats: int, batch: int = 8, steps: int = 20
) -> Iterator[dict[str, Any]]:
    """Evaluations and mean pairwise FLIP of the trees of each policy."""
    for name, policy in itertools.product(names, POLICIES):
        cost = fork_schedule(batch, steps, policy).cost
        found = _mean_diversity(bench, name, ForkOptions(policy), repeats, batch, steps)
        yield {"sampler": name, "policy": policy, "evaluations": cost, "diversity": found}


def _mean_diversity(bench: Bench, name: str, forks: ForkOptions, repeats: int, batch: int, steps: int) -> float:
    found = []
    for repeat in range(repeats):
        seeds = range(1000 * repeat + 1, 1000 * repeat + 1 + batch)
        found.append(diversity(bench.sample(name, forks, PROMPTS[repeat % len(PROMPTS)], seeds, steps).images))
    return statistics.fmean(found)


def grid(bench: Bench, names: Sequence[str], quick: bool, done: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every cell, the samplers innermost, so that each meets the machine in every mood."""
    for batch, steps in itertools.product((4, 8) if quick else BATCHES, (10,) if quick else STEPS):
        for name in names:
            kept = [row for row in done if (row["sampler"], row["batch_size"], row["steps"]) == (name, batch, steps)]
            yield kept[0] if kept else compare(bench, name, batch, steps, 1 if quick else REPEATS[batch])


def plot(rows: Sequence[dict[str, Any]], file: Path, width: float) -> None:
    """Theory (lines) and measurement (points): evaluations, wall clock and diversity over the batch size."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(width, width * 0.36), layout="constrained")
    titles = ("denoiser evaluations", "wall clock", "diversity (pairwise FLIP)")
    for axis, title in zip(axes, titles, strict=True):
        axis.set(xlabel="batch size", xscale="log", ylim=(0, 1.25))
        axis.set_title(title, fontsize=10)
        axis.set_xticks(BATCHES, [str(batch) for batch in BATCHES])
        axis.set_xticks([], minor=True)
        axis.axhline(1, color="0.7", linewidth=1)
    axes[0].set_ylabel("hyperbatch / independent batch")
    for k, steps in enumerate(STEPS):
        cells = [row for row in rows if row["steps"] == steps]
        batches, shift = sorted({row["batch_size"] for row in cells}), 1 + 0.06 * (k - 1)
        ratios = [fork_schedule(b, steps, "even").cost / (b * steps) for b in batches]
        axes[0].plot(batches, ratios, color=f"C{k}", label=f"{steps} steps")
        predicted = [_mean(1 / row["predicted_speedup"] for row in cells if row["batch_size"] == b) for b in batches]
        axes[1].plot(batches, predicted, color=f"C{k}")
        for axis, key in zip(axes, ("calls_ratio", "wall_ratio", "diversity_ratio"), strict=True):
            places = [row["batch_size"] * shift for row in cells]
            axis.plot(places, [row[key] for row in cells], ".", color=f"C{k}", alpha=0.6)
        means = [_mean(row["diversity_ratio"] for row in cells if row["batch_size"] == b) for b in batches]
        axes[2].plot(batches, means, color=f"C{k}", linestyle=":")
    axes[0].legend(frameon=False)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def _mean(values: Iterator[float]) -> float:
    return statistics.fmean(values)


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures that are claimed."""
    reached = sorted(row["of_predicted"] for row in rows)
    schedule = fork_schedule(8, 20, "even")
    return {
        "even_8_20": [schedule.cost, schedule.plain_cost],
        "of_predicted_min": reached[0],
        "of_predicted_median": statistics.median(reached),
        "cpu_of_predicted_min": min(row["cpu_of_predicted"] for row in rows),
        "speedup_max": max(row["speedup"] for row in rows),
    }


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line for each batch size and step count, over all samplers; a line for each sampler."""
    lines = ["| B | S | evaluations | speed-up predicted | measured | of predicted: least, median | diversity |"]
    lines.append("|---|---|---|---|---|---|---|")
    cells = sorted({(row["batch_size"], row["steps"]) for row in rows})
    for batch, steps in cells:
        group = [row for row in rows if (row["batch_size"], row["steps"]) == (batch, steps)]
        predicted, measured, reached, diverse = (
            sorted(row[key] for row in group)
            for key in ("cpu_predicted_speedup", "cpu_speedup", "cpu_of_predicted", "diversity_ratio")
        )
        schedule = fork_schedule(batch, steps, "even")
        lines.append(
            f"| {batch} | {steps} | {schedule.cost} of {schedule.plain_cost} | {statistics.median(predicted):.2f} | "
            f"{statistics.median(measured):.2f} | {reached[0]:.2f}, {statistics.median(reached):.2f} | "
            f"{statistics.fmean(diverse):.2f} |"
        )
    lines += ["", "| sampler | diversity of trees | independent | ratio | speed-up |", "|---|---|---|---|---|"]
    for name in SAMPLERS:
        group = [row for row in rows if row["sampler"] == name]
        tree, plain = (statistics.fmean(row[key] for row in group) for key in ("diversity", "plain_diversity"))
        speed = statistics.median(row["cpu_speedup"] for row in group)
        lines.append(f"| {name} | {tree:.3f} | {plain:.3f} | {tree / plain:.2f} | {speed:.2f} |")
    return "\n".join(lines)


def told(row: dict[str, Any]) -> str:
    """A row as a line of text."""
    return "  ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{value}" for key, value in row.items())


def main() -> None:
    """Print the figures, as JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--strengths", action="store_true")
    parser.add_argument("--policies", action="store_true")
    parser.add_argument("--samplers", nargs="+", choices=tuple(SAMPLERS), help="these only")
    parser.add_argument("--scale", type=float, default=UNGUIDED, help="guidance; 1: none")
    parser.add_argument("--repeats", type=int, default=12, help="trees for each fork strength or policy")
    parser.add_argument("--out", type=Path, help="keep the rows here as they come, and go on from them")
    parser.add_argument("--plot", type=Path, help="draw docs/images/hyperbatch.png from a file of --out")
    options = parser.parse_args()
    if options.plot:
        rows = json.loads(options.plot.read_text())
        images = Path(__file__).parents[1] / "docs" / "images"
        plot(rows, images / "hyperbatch.png", 13)
        print(tables(rows))
        return
    torch.set_num_threads(1)
    rows: list[dict[str, Any]] = []
    done = json.loads(options.out.read_text()) if options.out and options.out.exists() else []
    with torch.inference_mode():
        bench = Bench(device="cpu")
        bench.scale = options.scale
        for _ in range(WARM):
            bench.call_seconds(1)
        of_diversity = strengths if options.strengths else policies if options.policies else None
        few = ("DPM++ 2M", "DPM++ SDE") if options.quick or of_diversity else tuple(SAMPLERS)
        names = options.samplers or few
        cells = of_diversity(bench, names, options.repeats) if of_diversity else grid(bench, names, options.quick, done)
        for row in cells:
            rows.append(row)
            print(told({k: v for k, v in row.items() if not isinstance(v, dict)}), file=sys.stderr, flush=True)
            if options.out:
                options.out.write_text(json.dumps(rows, indent=1) + "\n")
    result = {"rows": rows} if of_diversity else {"summary": summary(rows), "rows": rows}
    if options.json:
        print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
