"""Bake a weighted prompt into a textual inversion: one word, without weights, that gives the same images nearly.

Weights scale what the text encoder gives out; an inversion only replaces what goes in, so it cannot be exact: the
encoder's last normalisation gives every vector about the same length.  The inversion takes a whole chunk of 75
vectors, starts as the prompt without its weights, and is then fitted in two stages with Adam: to the weighted
vectors, and to the UNet's answers on states of the weighted prompt's own sampling.  Imports torch.
"""

from __future__ import annotations

import dataclasses
import math
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..config import RenderOptions, RunConfig
from ..errors import OptionError, PromptError
from ..host import Recipe
from ..loss import flip_pairs
from ..prompt.source import clean
from ..sampling import ForkOptions, make_hyperbatch
from ..store import Record
from ..store.files import check_place
from .condition import Condition
from .denoiser import Denoiser, denoise
from .engine import HeadlessHost
from .inversion import SUFFIX, Inversion, save_inversion
from .predictor import Predictor
from .prompt_steps import expand, split_and
from .samplers import find_sampler
from .settings import END
from .text import CHUNK, padded

WARM_UP = 300
ROUNDS = 2500
SECONDS = 300.0  # the fit ends by then on any machine
WARM_RATE, RATE = 0.02, 0.006
STATES = 24  # seeds whose sampling is followed
ROWS = 4  # states of a round
CHECKED = 8
FIRST_SEED, CHECK_SEED = 2**31, 2**31 + 2**20


@dataclasses.dataclass(frozen=True)
class Baked:
    """vectors: 75 x width, of each text encoder.

    gap: squared error of the UNet's answers, over that of the prompt without weights.
    """

    vectors: tuple[Tensor, ...]
    gap: float


@dataclasses.dataclass(frozen=True)
class _State:
    """Noisy latents (B x 4 x h x w), their noise level, what the weighted prompt makes of them, and a scale."""

    x: Tensor
    sigma: Tensor
    wanted: Tensor
    scale: float = 1.0


class Bakery:
    """Fits vectors to one prompt on one host, which must compute in full precision.

    Raises `PromptError` for a prompt that no single word can stand for.
    """

    def __init__(self, host: HeadlessHost, prompt: Recipe, job: RenderOptions, negative: bool = False) -> None:
        self.host, self.prompt, self.job, self.negative = host, prompt, job, negative
        text = clean(prompt.negative_prompt if negative else prompt.prompt, negative=negative).text
        (text, weight), *others = ((text, 1.0),) if negative else split_and(text)
        stretches = expand(text, job.steps)
        chunks = host.reader.encoder.chunker.chunks(stretches[0].text)
        what = "negative prompt" if negative else "prompt"
        if others or len(stretches) > 1 or len(chunks) > 1:
            allowed = "an embedding stands for one chunk of 75 tokens without AND, BREAK and schedules"
            raise PromptError(f"the {what} cannot be baked: {allowed}")
        if weight != 1.0:
            at_end = f"the {weight:g} at its end is the weight of all of it, as before and after AND"
            raise PromptError(f"the {what} cannot be baked: {at_end}, and an embedding has none")
        self.device = host.device
        self.towers = host.checkpoint.towers
        self._unet = Predictor(host.checkpoint.unet, traced=False)
        self.reading = host.reading(prompt, job)
        self.ids = [torch.tensor(padded(chunks[0].tokens, END, tower.pad), device=self.device) for tower in self.towers]
        # an empty negative prompt is not baked, so the zeros that stand for SDXL's have no part here
        self.target = host.reader.encoder.encode((stretches[0].text,), self.reading)
        self.rng = np.random.Generator(np.random.PCG64(0))

    def bake(self, rounds: int = ROUNDS) -> Baked:
        """Fit the vectors.  The same on the same machine, unless the time runs out."""
        vectors = [
            tower.layer.token_embedding.weight[ids[1 : CHUNK + 1]].detach().clone().requires_grad_(True)
            for tower, ids in zip(self.towers, self.ids, strict=True)
        ]
        with torch.no_grad():
            plain = self.encode(vectors)
        wanted = self.target.vectors
        self._descend(vectors, WARM_UP, WARM_RATE, lambda: (self.encode(vectors).vectors - wanted).square().mean())
        states = [self._scaled(state, plain) for state in self._states()]
        used = states[: max(1, math.ceil(0.6 * len(states)))]  # the later steps hardly change the image

        def loss() -> Tensor:
            state = used[int(self.rng.integers(len(used)))]
            rows = torch.as_tensor(self.rng.permutation(len(state.x))[:ROWS], device=self.device)
            return self._error(state, self.encode(vectors), rows) / state.scale

        self._descend(vectors, rounds, RATE, loss)
        with torch.no_grad():
            encoded = self.encode(vectors)
            gaps = [float(self._error(state, encoded) / state.scale) for state in used]
        return Baked(tuple(part.detach().cpu() for part in vectors), float(np.mean(gaps)))

    def encode(self, vectors: Sequence[Tensor]) -> Condition:
        """What the text encoders make of a chunk whose words are these vectors."""
        parts, pooled = [], []
        for tower, ids, own in zip(self.towers, self.ids, vectors, strict=True):

            def replace(_: nn.Module, __: Any, rows: Tensor, own: Tensor = own) -> Tensor:
                return torch.cat([rows[:, :1], own[None], rows[:, len(own) + 1 :]], dim=1)

            hook = tower.layer.token_embedding.register_forward_hook(replace)
            try:
                found = tower.encode(ids[None], self.reading.clip_skip)
            finally:
                hook.remove()
            parts.append(found[0])
            pooled.append(found[1])
        return Condition(torch.cat(parts, dim=2), torch.cat(pooled, dim=1)).told(self.reading.sizes)

    def _descend(self, vectors: list[Tensor], rounds: int, rate: float, loss: Callable[[], Tensor]) -> None:
        """Adam with a rate that falls like a cosine."""
        optimizer = torch.optim.Adam(vectors, lr=rate, betas=(0.9, 0.99))
        started = time.monotonic()
        for number in range(rounds):
            done = max(number / rounds, (time.monotonic() - started) / SECONDS)
            if done >= 1.0:
                break
            optimizer.param_groups[0]["lr"] = rate * 0.5 * (1.0 + math.cos(math.pi * done)) + 1e-5
            optimizer.zero_grad()
            loss().backward()  # type: ignore[no-untyped-call]
            optimizer.step()

    def _states(self) -> list[_State]:
        """Where the weighted prompt's sampling goes, step by step."""
        model, job, sampler = self.host.checkpoint, self.job, find_sampler(self.job.sampler)
        seeds = [FIRST_SEED + index for index in range(STATES)]
        width, height = self.host.size(job)
        seen: list[tuple[Tensor, Tensor]] = []
        with torch.no_grad():
            guidance = self.host.guidance(self.prompt, job.steps * (2 if sampler.second_order else 1), job)
            guided = Denoiser(self._unet, model.levels, model.prediction, guidance, job.cfg_scale, lambda: None)

            def follow(x: Tensor, sigma: Tensor) -> Tensor:
                seen.append((x.clone(), sigma[0].clone()))
                return guided(x, sigma)

            sigmas = self.host.sigmas(job.steps, sampler.scheduler or job.scheduler).to(self.device)
            sample = make_hyperbatch(sampler.info.name, ForkOptions("none"), seeds=seeds)
            sample(follow, self.host.noise(seeds, (height // 8, width // 8)) * sigmas[0], sigmas)
            return [_State(x, sigma, self._denoised(x, sigma, self.target)) for x, sigma in seen]

    def _scaled(self, state: _State, plain: Condition) -> _State:
        """The state with the error that the prompt without weights makes there."""
        with torch.no_grad():
            return dataclasses.replace(state, scale=max(float(self._error(state, plain)), 1e-12))

    def _error(self, state: _State, encoded: Condition, rows: Tensor | None = None) -> Tensor:
        x, wanted = (state.x, state.wanted) if rows is None else (state.x[rows], state.wanted[rows])
        return (self._denoised(x, state.sigma, encoded) - wanted).square().mean()

    def _denoised(self, x: Tensor, sigma: Tensor, encoded: Condition) -> Tensor:
        model = self.host.checkpoint
        return denoise(self._unet, model.levels, model.prediction, x, sigma, encoded.expand(len(x)))


def own_checkpoint(record: Record) -> str:
    """The checkpoint of a run that was made headless.  Raises `OptionError` for another host's run."""
    if record.host.get("name") != "headless":
        made_with = str(record.host.get("checkpoint") or "the checkpoint that the run was made with")
        raise OptionError("checkpoint", "", f"the path of {made_with}, because the run is not of this command line")
    return str(record.config.get("checkpoint", ""))


def _size(record: Record) -> dict[str, int]:
    """Width and height where the host chose them, as a WebUI does."""
    return dict(zip(("width", "height"), record.host.get("size", ())))


def baked_files(record: Record, to: Path) -> tuple[Path, ...]:
    """The files of a run's prompt and, if it has one, its negative prompt: each can be written, and its name is a word.

    Raises `OptionError` and `StoreError`, before minutes of fitting.
    """
    if to.suffix != SUFFIX:
        raise OptionError("to", str(to), f"a file whose name ends in {SUFFIX}")
    name = to.name.removesuffix(SUFFIX)
    if not is_word(name):
        raise OptionError("to", to.name, "a name that a prompt can hold as a word, such as my-circle.safetensors")
    ends = ("", "-negative") if record.exportable().negative_prompt.strip() else ("",)
    places = tuple(to.with_name(f"{name}{end}{SUFFIX}") for end in ends)
    for place in places:
        check_place(place)
    return places


def is_word(name: str) -> bool:
    """Whether a name stands in a prompt as it is: no bracket, mark or keyword of the prompt's grammar."""
    if not any(map(str.isalnum, name)) or name != " ".join(name.split()) or not name.isprintable():
        return False
    if set(name) & set("()[]{}<>:|\\#,"):
        return False
    return not {"AND", "BREAK"} & set(re.split(r"\W+", name))


def bake_run(record: Record, host: HeadlessHost, to: Path) -> str:
    """Bake a run's pinned prompt into `to`, a negative prompt into a second file beside it, and say how near it is.

    The name of a file is the word that stands for its prompt.  Raises `StoreError` and `PromptError`.
    """
    places = baked_files(record, to)
    best = record.exportable()
    settings = {name: value for name, value in best.settings.items() if name in record.config}
    job = RunConfig.from_dict({**record.config, **_size(record), **settings})
    pair = Recipe(best.prompt, best.negative_prompt)
    tags = "".join(insert.text for insert in clean(pair.prompt).inserts if insert.kind == "net")
    lines, made = [], []
    bakeries = [Bakery(host, pair, job, bool(negative)) for negative in range(len(places))]  # both, before minutes
    for negative, (path, bakery) in enumerate(zip(places, bakeries, strict=True)):
        baked = bakery.bake()
        made.append(Inversion(path.name.removesuffix(SUFFIX), baked.vectors))
        save_inversion(path, made[-1])
        what = "negative prompt" if negative else "prompt"
        beside = f", beside {tags}" if tags and not negative else ""
        lines.append(f"{path}: the {what} as the word {made[-1].name}{beside}")
    baked_pair = Recipe(made[0].name + tags, made[1].name if len(made) > 1 else "")
    mean, most = compare(host, pair, baked_pair, made, job)
    seeds = f"images on {CHECKED} fresh seeds differ from the weighted prompt's"
    lines.append(f"{seeds} by ꟻLIP {mean:.3f} (at most {most:.3f})")
    return "\n".join(lines)


def compare(
    host: HeadlessHost, weighted: Recipe, baked: Recipe, made: list[Inversion], job: RenderOptions
) -> tuple[float, float]:
    """(mean, largest) ꟻLIP between the images of both prompts, seed by seed."""
    other = HeadlessHost(host.checkpoint, str(host.device), made, precise=True, loras=host.loras)
    seeds = [CHECK_SEED + index for index in range(CHECKED)]
    wanted, found = (
        one.render(pair, seeds, job, forked=False).images for one, pair in ((host, weighted), (other, baked))
    )
    errors = flip_pairs(wanted, found)
    return float(errors.mean()), float(errors.max())
