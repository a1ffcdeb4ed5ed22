"""What hyperbatches save on a GPU, at the true sizes of Stable Diffusion 1.5 and SDXL with random weights.

python -m benchmarks.device --json --out FILE                           every part, kept in FILE as it comes
python -m benchmarks.device --json --out FILE --parts sd15-512 leaf0    these only; FILE keeps those of earlier calls
python -m benchmarks.device --json --parts sdxl-1024 --dtype bfloat16
python -m benchmarks.device --json --quick --device cpu                 a few small weights, on any machine
python -m benchmarks.device --table FILE                                the Markdown tables of a file

A part such as sdxl-1024 renders one batch of 8 images in 20 steps with guidance: as a plain batch and as trees, by
turns.  Times are medians of CUDA events around synchronised work after a warm-up; `calls` are the network's own, back
to back.  Everything runs through the headless host: text encoders, sampler, denoiser and autoencoder are the project's.

Random weights cost what trained ones do, but make no pictures: nothing here says anything about images.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import gc
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import prompt_pins.cli.threads  # noqa: F401 (before torch: as many threads as the command line has)
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from prompt_pins.config import RenderOptions
from prompt_pins.headless.autoencoder import DOWN
from prompt_pins.headless.checkpoint import Checkpoint
from prompt_pins.headless.condition import Condition
from prompt_pins.headless.engine import HeadlessHost, find_sampler
from prompt_pins.headless.noise_levels import NoiseLevels
from prompt_pins.headless.predictor import Predictor
from prompt_pins.headless.settings import ZERO
from prompt_pins.headless.towers import Tower
from prompt_pins.host import Recipe
from prompt_pins.loss import LossOptions, batch_targets, score_batch
from prompt_pins.sampling import SAMPLERS, fork_schedule
from prompt_pins.sampling.meter import predicted_speedup
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from layouts import FULL, TINY

POLICIES = ("none", "twin", "even", "late")
PLAIN, DEFAULT = POLICIES[:2]
PARTS = ("sd15-512", "leaf0", "sdxl-1024", "sdxl-512", "sd15-1024")
DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}
LEAVES, LEAF_STEPS = 4, 6
TINY_SIDE = 64
CALLS = 4  # of the network in a row, for its time alone
MIB = 2**20


class Random(Checkpoint):
    """A checkpoint of no file."""

    def sha256(self) -> str:
        return "0" * 64


def random_model(name: str, pixels: int, quick: bool) -> Checkpoint:
    """A model of the published sizes, or a small one of the same build, with the noise levels that all have."""
    layout = (TINY if quick else FULL)[name]
    texts = [
        (CLIPTextModelWithProjection if number else CLIPTextModel)(CLIPTextConfig(**config))
        for number, config in enumerate(layout.texts)
    ]
    towers = (Tower(texts[0], penultimate=len(texts) > 1),)
    if len(texts) > 1:
        towers += (Tower(texts[1], "clip_g", ZERO, penultimate=True, pooled=True, skips=False),)
    with torch.device("cpu"):
        levels = NoiseLevels.from_betas("scaled_linear", 0.00085, 0.012, 1000)
    unet, vae = UNet2DConditionModel(**layout.unet), AutoencoderKL(**layout.vae)
    scaling = float(layout.vae["scaling_factor"])
    return Random(Path(f"random-{name}"), unet, vae, towers, levels, "eps", scaling, pixels)


MODELS: dict[str, Callable[[bool], Checkpoint]] = {
    "sd15": functools.partial(random_model, "sd1", 512),
    "sdxl": functools.partial(random_model, "sdxl", 1024),
}


class Bench(HeadlessHost):
    """The headless host, taken apart, and with the time that the network takes inside a run."""

    def __init__(self, name: str, quick: bool, device: torch.device, dtype: torch.dtype) -> None:
        torch.manual_seed(0)
        usual = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            with torch.device(device):
                model = MODELS[name](quick)
        finally:
            torch.set_default_dtype(usual)
        super().__init__(model, str(device), precise=dtype == torch.float32)
        if dtype != self._dtype:
            self._dtype = dtype
            for network in model.networks:
                nn.Module.to(network, dtype)
        self._predictor = Predictor(model.unet, traced=False)
        self.clock = Clock(device)
        self.marks: list[Any] = []
        self.texts = itertools.count()
        model.unet.register_forward_pre_hook(lambda *_: self.marks.append(self.clock.mark()))
        model.unet.register_forward_hook(lambda *_: self.marks.append(self.clock.mark()))

    def sample(self, job: RenderOptions, seeds: Sequence[int], text: str = "a red circle") -> Tensor:
        """The latents of one batch, which forks as `job` says."""
        choice = find_sampler(job.sampler)
        width, height = self.size(job)
        shape = (height // DOWN, width // DOWN)
        return self._sampled(Recipe(text, "blue"), seeds, job, choice, self._forks(job, True), shape)

    def encode(self) -> None:
        """A text that was not encoded before."""
        self.reader.guidance(Recipe(f"a red circle, number {next(self.texts)}, on a blue background"), 1)

    def network_seconds(self) -> float:
        """Of the network's calls since the last time; what the host does between them is not in it."""
        marks, self.marks = self.marks, []
        self.clock.settle()
        return sum(self.clock.between(*pair) for pair in zip(marks[::2], marks[1::2], strict=True))

    def call(self, job: RenderOptions, size: int) -> float:
        """Seconds of one guided call on `size` images, in a row of calls that wait for nothing."""
        width, height = self.size(job)
        x = self.noise(range(2 * size), (height // DOWN, width // DOWN))
        told = self.guidance(Recipe("a red circle", "blue"), 1, job).uncond(0).expand(2 * size)
        step = torch.tensor(500.0, device=self.device)

        def calls() -> None:
            for _ in range(CALLS):
                self._predictor(x, step, told)

        calls()
        seconds = self.clock.seconds(calls)[0] / CALLS
        self.marks.clear()
        return seconds

    @contextlib.contextmanager
    def by_row(self) -> Iterator[None]:
        """Every image through the network alone, so that an answer's bits do not depend on the size of the batch."""
        whole = self._predictor

        def rows(x: Tensor, step: Tensor, told: Condition) -> Tensor:
            return torch.cat([whole(x[i : i + 1], step, told.row(i)) for i in range(len(x))])

        self._predictor = rows  # type: ignore[assignment]
        try:
            yield
        finally:
            self._predictor = whole


class Clock:
    """Seconds and memory of work on a device: CUDA's events where it is CUDA, else the clock on the wall."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    def mark(self) -> Any:
        """Now, on the device's own time line."""
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, begin: Any, end: Any) -> float:
        """Seconds between two marks; the device must have settled."""
        return begin.elapsed_time(end) / 1000 if self.cuda else end - begin

    def settle(self) -> None:
        """Wait until the device has done everything."""
        if self.cuda:
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """How long the work took on a device that was idle before, and what it gave."""
        self.settle()
        begin = self.mark()
        result = work()
        end = self.mark()
        self.settle()
        return self.between(begin, end), result

    def peak(self, work: Callable[[], Any]) -> tuple[float, float | None, Any]:
        """Seconds, the most MiB that tensors took on the device (None without CUDA), and what the work gave."""
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
        seconds, result = self.seconds(work)
        return seconds, torch.cuda.max_memory_allocated() / MIB if self.cuda else None, result


def job_of(size: int, policy: str, quick: bool, **more: Any) -> RenderOptions:
    """The project's default batch in this size."""
    few = {"steps": 4, "batch_size": 4} if quick else {}
    return RenderOptions(**{**few, "width": size, "height": size, "fork_policy": policy, **more})


def measured(bench: Bench, size: int, repeats: int, quick: bool) -> dict[str, Any]:
    """One part: times of a batch as a plain one and as trees, memory, and what scoring it costs."""
    jobs = {policy: job_of(size, policy, quick) for policy in POLICIES}
    plain = jobs[PLAIN]
    seeds = range(1, plain.batch_size + 1)
    sizes = sorted({n for job in jobs.values() for n in schedule(job).sizes})
    calls = {n: bench.call(plain, n) for n in sizes}
    bench.sample(dataclasses.replace(plain, steps=2), seeds)  # warm
    runs: dict[str, list[tuple[float, float]]] = {policy: [] for policy in POLICIES}
    peaks: dict[str, float | None] = {}
    latents: dict[str, Tensor] = {}
    bench.network_seconds()
    for _ in range(repeats):
        for policy, job in jobs.items():
            spent, peaks[policy], latents[policy] = bench.clock.peak(lambda job=job: bench.sample(job, seeds))
            runs[policy].append((spent, bench.network_seconds()))
    again = {n: bench.call(plain, n) for n in sizes}
    decode, images = [], None
    for _ in range(repeats + 1):
        spent, decode_peak, images = bench.clock.peak(lambda: bench._autoencoder.decode(latents[DEFAULT]))
        decode.append(spent)
    encode = [bench.clock.seconds(bench.encode)[0] for _ in range(repeats + 1)]
    common = statistics.median(decode[1:]) + statistics.median(encode[1:])
    own = {n: statistics.mean((calls[n], again[n])) for n in sizes}
    rows = {policy: row(bench, jobs[policy], own, runs, peaks[policy], common) for policy in POLICIES}
    scored = scoring(bench, jobs[DEFAULT], images, repeats)
    for device in ("cpu", "cuda"):
        if device in scored:
            scored[device]["of_rendering"] = scored[device]["seconds"] / rows[DEFAULT]["batch_seconds"]
    return {
        "batch_size": plain.batch_size,
        "steps": plain.steps,
        "sampler": plain.sampler,
        "cfg_scale": plain.cfg_scale,
        "repeats": repeats,
        "weights_mib": weight(bench) / MIB,
        "call_ms": {str(n): 1000 * seconds for n, seconds in own.items()},
        "call_ms_drift": max(again[n] / calls[n] for n in sizes),
        "encode_seconds": statistics.median(encode[1:]),
        "decode_seconds": statistics.median(decode[1:]),
        "decode_peak_mib": decode_peak,
        "policies": rows,
        "scoring": scored,
    }


def schedule(job: RenderOptions) -> Any:
    """The tree of a job's batch."""
    return fork_schedule(job.batch_size, job.steps, job.fork_policy)


def row(
    bench: Bench,
    job: RenderOptions,
    calls: dict[int, float],
    runs: dict[str, list[tuple[float, float]]],
    peak: float | None,
    common: float,
) -> dict[str, Any]:
    """One policy.  `common`: seconds of a batch besides its sampling, text and decoding."""
    spent, plain = (statistics.median(run[0] for run in runs[policy]) for policy in (job.fork_policy, PLAIN))
    network = statistics.median(run[1] for run in runs[job.fork_policy])
    return {
        "evaluations": bench.evaluations(job.batch_size, job, True),
        "plain_evaluations": bench.evaluations(job.batch_size, job, False),
        "sample_seconds": spent,
        "all_seconds": [run[0] for run in runs[job.fork_policy]],
        "network_seconds": network,
        "loop_over_network": statistics.median(run[0] / run[1] for run in runs[job.fork_policy]),
        "over_bare_calls": spent / sum(calls[n] for n in schedule(job).sizes),
        "batch_seconds": spent + common,
        "speedup": plain / spent,
        "batch_speedup": (plain + common) / (spent + common),
        "evaluations_speedup": schedule(job).speedup,
        "predicted_speedup": predicted_speedup(schedule(job), calls),
        "sample_peak_mib": peak,
    }


def weight(bench: Bench) -> int:
    """Bytes of the three networks."""
    networks = bench.checkpoint.networks
    return sum(p.numel() * p.element_size() for network in networks for p in network.parameters())


def scoring(bench: Bench, job: RenderOptions, images: Any, repeats: int) -> dict[str, Any]:
    """Seconds and memory of the set loss of a batch with one target, on each device; and how far they are apart."""
    targets = batch_targets(images[:1, ::-1].copy())
    levels = bench.levels(job.batch_size, job, True)
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "images": len(images), "targets": 1}
    losses = {}
    for device in ("cuda", "cpu") if bench.clock.cuda else ("cpu",):
        options, spent = LossOptions(device=device), []
        for _ in range(repeats + 1):
            resting = torch.cuda.memory_allocated() if bench.clock.cuda else 0
            reset_resident()
            before = resident_mib("VmRSS")
            seconds, peak, losses[device] = bench.clock.peak(lambda o=options: score_batch(images, targets, levels, o))
            spent.append(seconds)
        extra = peak - resting / MIB if device == "cuda" and peak is not None else resident_mib("VmHWM") - before
        found[device] = {"seconds": statistics.median(spent[1:]), "peak_extra_mib": extra, "loss": losses[device].loss}
    if "cuda" in losses:
        found["speedup"] = found["cpu"]["seconds"] / found["cuda"]["seconds"]
        found["loss_difference"] = abs(losses["cuda"].loss - losses["cpu"].loss)
    return found


def reset_resident() -> None:
    """Forget the most memory that this process has held, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_mib(name: str) -> float:
    """VmRSS (now) or VmHWM (the most) of this process; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)


def leaf0(bench: Bench, size: int, quick: bool) -> dict[str, Any]:
    """Largest difference of leaf 0's latents from the plain image of the first seed, for every sampler.

    `by_row`: where every image goes through the network alone, against the image by itself: exactly 0 is the law.
    `batched`: as batches are rendered, against row 0 of the plain batch; `alone`: that row against the image by
    itself, which is what the network's rounding does by the size of a batch.  `largest`: latent of the plain image.
    """
    found = {}
    for name in SAMPLERS:
        more = {"sampler": f"{name} - Hyperbatch", "batch_size": LEAVES, **({} if quick else {"steps": LEAF_STEPS})}
        tree, even, plain = (job_of(size, policy, quick, **more) for policy in (DEFAULT, "even", PLAIN))
        seeds = range(1, LEAVES + 1)
        with bench.by_row():
            single = bench.sample(plain, seeds[:1])[0]
            exact = [difference(bench.sample(job, seeds)[0], single) for job in (tree, even)]
        whole, alone = bench.sample(plain, seeds)[0], bench.sample(plain, seeds[:1])[0]
        found[name] = {
            "by_row": max(exact),
            "batched": difference(bench.sample(tree, seeds)[0], whole),
            "alone": difference(whole, alone),
            "largest": float(whole.abs().max()),
        }
    bench.network_seconds()
    return found


def difference(left: Tensor, right: Tensor) -> float:
    """The largest of all elements."""
    return float((left - right).abs().max())


def tables(parts: dict[str, Any]) -> str:
    """Markdown of all parts that were measured."""
    lines = [
        "| part | policy | evaluations | sampling | speed-up | by evaluations | by the calls' own times | "
        "whole batch | speed-up | loop / network | peak |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, part in parts.items():
        for policy, r in part.get("policies", {}).items():
            cells = [f"`{policy}`", f"{r['evaluations']} of {r['plain_evaluations']}", f"{r['sample_seconds']:.3f} s"]
            cells += [f"{r[name]:.2f}" for name in ("speedup", "evaluations_speedup", "predicted_speedup")]
            cells += [f"{r['batch_seconds']:.3f} s", f"{r['batch_speedup']:.2f}", f"{r['loop_over_network']:.3f}"]
            cells += ["" if r["sample_peak_mib"] is None else f"{r['sample_peak_mib'] / 1024:.1f} GiB"]
            lines.append(f"| {key} | {' | '.join(cells)} |")
    lines += ["", "| part | text | decoding | ms of a call on 1, 2, 4, 8 images | scoring on CUDA | on CPU | ratio |"]
    lines.append("|---|---|---|---|---|---|---|")
    for key, part in parts.items():
        if "policies" not in part:
            continue
        score, calls = part["scoring"], ", ".join(f"{ms:.1f}" for ms in part["call_ms"].values())
        cells = [
            f"{s['seconds']:.3f} s ({s['of_rendering']:.1%} of rendering)" if (s := score.get(device)) else ""
            for device in ("cuda", "cpu")
        ]
        ratio = f"{score['speedup']:.1f}" if "speedup" in score else ""
        lines.append(
            f"| {key} | {part['encode_seconds']:.4f} s | {part['decode_seconds']:.3f} s | {calls} | {' | '.join(cells)}"
            f" | {ratio} |"
        )
    lines += [
        "",
        "| leaf 0 and the plain image | by row | in batches | the plain image in a batch and alone | latents |",
    ]
    lines.append("|---|---|---|---|---|")
    for key, part in parts.items():
        for name, r in part.items() if key.startswith("leaf0") and "error" not in part else ():
            numbers = " | ".join(f"{r[column]:.3g}" for column in ("by_row", "batched", "alone", "largest"))
            lines.append(f"| {name} ({key}) | {numbers} |")
    failed = [f"{key}: {part['error']}" for key, part in parts.items() if "error" in part]
    return "\n".join([*lines, "", *failed])


def work(
    names: Sequence[str], quick: bool, device: torch.device, dtype: str, repeats: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts one by one, models held as long as they are wanted; a part that fails says so."""
    held: tuple[str, Bench] | None = None
    for name in names:
        model, _, size = ("sd15-512" if name == "leaf0" else name).partition("-")
        started = time.perf_counter()
        try:
            with torch.inference_mode():
                if held is None or held[0] != model:
                    held = None
                    gc.collect()
                    if device.type == "cuda":
                        torch.cuda.empty_cache()
                    held = model, Bench(model, quick, device, DTYPES[dtype])
                pixels = TINY_SIDE if quick else int(size)
                part = leaf0(held[1], pixels, quick) if name == "leaf0" else measured(held[1], pixels, repeats, quick)
        except Exception as error:  # the other parts are worth having
            part = {"error": f"{type(error).__name__}: {error}"}
        told = f"{name} {dtype}: {time.perf_counter() - started:.1f} s {part.get('error', '')}"
        print(told, file=sys.stderr, flush=True)
        yield f"{name}-{dtype}", part


def main(arguments: list[str] | None = None) -> None:
    """Measure, print the figures as JSON with --json and the tables beside them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a few small weights, 64 pixels, 4 images, 4 steps")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--dtype", choices=tuple(DTYPES), help="by itself: float16, on a CPU float32")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="keep each part here as it comes, beside those that are there")
    parser.add_argument("--table", type=Path, help="print the tables of a file of --out")
    options = parser.parse_args(arguments)
    if options.table:
        print(tables(json.loads(options.table.read_text())["parts"]))
        return
    device = torch.device(options.device)
    figures: dict[str, Any] = {"parts": {}}
    if options.out and options.out.exists():
        figures = json.loads(options.out.read_text())
    figures |= {"torch": torch.__version__, "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"}
    dtype = options.dtype or ("float16" if device.type == "cuda" else "float32")
    for key, part in work(options.parts, options.quick, device, dtype, options.repeats):
        figures["parts"][key] = part
        if options.out:
            options.out.write_text(json.dumps(figures, indent=1) + "\n")
    if options.json:
        print(json.dumps(figures, indent=1))
    print(tables(figures["parts"]), file=sys.stderr if options.json else sys.stdout)


if __name__ == "__main__":
    main()
