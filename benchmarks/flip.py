"""ꟻLIP of all pairs of a batch against calling flip-evaluator for each pair, in one process.

    python -m benchmarks.flip --json [--threads N] [--images 16] [--size 512] [--sample P]

Both sides get the same images (noise and drawn shapes, seeded), the same number of threads and one warm-up call.
`peak_extra_mb` is the resident memory that ours adds at its highest over what the process held with the images.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the figures to standard output, return 0."""
    options = _parser().parse_args(arguments)
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    figures = measure(options.images, options.size, options.threads, options.sample)
    if options.json:
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
    else:
        sys.stdout.writelines(f"{name:>24}  {value}\n" for name, value in figures.items())
    return 0


def measure(images: int, size: int, threads: int, sample: int) -> dict[str, Any]:
    """Figures for all pairs of `images` pictures of `size` x `size` and one target.

    `threads`: 0 leaves both libraries their default; `sample`: flip-evaluator is timed on so many pairs and its
    time scaled up, 0 for all of them.
    """
    import torch  # after OMP_NUM_THREADS is set
    from prompt_pins.loss.ldrflip import mean_errors

    if threads:
        torch.set_num_threads(threads)
    stack = _pictures(images + 1, size)
    planes = torch.from_numpy(stack).permute(0, 3, 1, 2).contiguous()
    pairs = [(left, right) for left in range(images) for right in range(left + 1, images + 1)]
    mean_errors(planes[:2, :, :64, :64], [(0, 1)])
    resting = _resident_mb()
    ours, found = _timed(lambda: mean_errors(planes, pairs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    figures: dict[str, Any] = {
        "pairs": len(pairs),
        "size": size,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "seconds": round(ours, 4),
        "ms_per_pair": round(1000 * ours / len(pairs), 3),
        "peak_extra_mb": round(peak - resting, 1),
    }
    figures |= _reference(stack, pairs, found.tolist(), sample, ours)
    if torch.cuda.is_available():
        figures |= _on_gpu(planes, pairs, found)
    return figures


def _reference(
    stack: Any, pairs: list[tuple[int, int]], found: list[float], sample: int, ours: float
) -> dict[str, Any]:
    """Time and largest difference of the mean of flip-evaluator, called pair by pair."""
    try:
        import flip_evaluator
    except ImportError:
        return {"speedup": None, "flip_evaluator": "absent: pip install flip-evaluator"}
    import numpy as np

    sides = stack.astype(np.float32) / 255.0
    step = max(1, len(pairs) // sample) if sample else 1
    chosen = list(range(0, len(pairs), step))

    def evaluate(index: int) -> float:
        left, right = pairs[index]
        errors = flip_evaluator.evaluate(
            sides[left], sides[right], "LDR", applyMagma=False, computeMeanError=False, parameters={"ppd": 67.02}
        )[0]
        return float(errors.mean(dtype=np.float64))

    evaluate(0)
    theirs, means = _timed(lambda: [evaluate(index) for index in chosen])
    theirs *= len(pairs) / len(chosen)
    return {
        "flip_evaluator_seconds": round(theirs, 3),
        "flip_evaluator_pairs_timed": len(chosen),
        "largest_mean_difference": max(abs(found[index] - mean) for index, mean in zip(chosen, means)),
        "speedup": round(theirs / ours, 1),
    }


def _on_gpu(planes: Any, pairs: list[tuple[int, int]], expected: Any) -> dict[str, Any]:
    import torch
    from prompt_pins.loss.ldrflip import mean_errors

    held = planes.cuda()
    mean_errors(held, pairs)
    torch.cuda.reset_peak_memory_stats()
    resting = torch.cuda.memory_allocated()
    seconds, found = _timed(lambda: mean_errors(held, pairs))
    return {
        "gpu": torch.cuda.get_device_name(),
        "gpu_seconds": round(seconds, 4),
        "gpu_peak_extra_mb": round((torch.cuda.max_memory_allocated() - resting) / 2**20, 1),
        "gpu_largest_mean_difference": float((found - expected).abs().max()),
    }


def _pictures(count: int, size: int) -> Any:
    """count x size x size x 3 uint8: soft shapes under grain."""
    import numpy as np

    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:size, 0:size] / size
    pictures = np.empty((count, size, size, 3), np.uint8)
    for picture in pictures:
        waves = [np.sin(rng.uniform(2, 20) * x + rng.uniform(2, 20) * y + rng.uniform(0, 6)) for _ in range(3)]
        grain = rng.normal(0, 0.05, (size, size, 3))
        picture[:] = np.clip((np.stack(waves, axis=-1) * 0.4 + 0.5 + grain) * 255, 0, 255)
    return pictures


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _resident_mb() -> float:
    """Resident memory now; where the system does not tell, the highest so far."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flip", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", action="store_true", help="write one JSON object")
    parser.add_argument("--threads", type=int, default=0, help="threads of both sides (default: their own choice)")
    parser.add_argument("--images", type=int, default=16, help="pictures besides the one target (default 16)")
    parser.add_argument("--size", type=int, default=512, help="side of a picture in pixels (default 512)")
    parser.add_argument("--sample", type=int, default=0, help="pairs to time flip-evaluator on (default: all)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
