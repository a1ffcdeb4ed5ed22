"""Load the exported checkpoint through diffusers' single-file loader, and draw pictures from weighted words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

from embedded.captions import Words
from embedded.vae_stage import to_pictures
from embedded.words import VOCABULARY, WordBook, make_tokenizer

LATENT_SHAPE = (4, 16, 16)


def load_pipeline(checkpoint: Path, device: torch.device) -> StableDiffusionPipeline:
    """The exported file with the config folder beside it, in float32; nothing is fetched."""
    pipeline = StableDiffusionPipeline.from_single_file(
        str(checkpoint),
        config=str(checkpoint.parent / "config"),
        local_files_only=True,
        tokenizer=make_tokenizer(VOCABULARY),
        torch_dtype=torch.float32,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


@dataclass(frozen=True)
class Sampling:
    """DPM++ 2M Karras with classifier-free guidance."""

    steps: int = 20
    guidance: float = 5.0


def text_features(pipeline: StableDiffusionPipeline, captions: list[Words], book: WordBook) -> torch.Tensor:
    """B x 77 x width, weighted as AUTOMATIC1111 does: each token's features times its weight, the mean restored."""
    ids, weights = (torch.from_numpy(a).to(pipeline.device) for a in book.rows(captions))
    z = pipeline.text_encoder(ids).last_hidden_state
    weighted = z * weights[:, :, None]
    return weighted * (z.mean((1, 2), keepdim=True) / weighted.mean((1, 2), keepdim=True))


@torch.no_grad()
def draw(
    pipeline: StableDiffusionPipeline, captions: list[Words], seeds: list[int], sampling: Sampling, book: WordBook
) -> np.ndarray:
    """One picture per caption and seed: uint8, B x 128 x 128 x 3. The same seed starts from the same noise."""
    noises = [np.random.default_rng(seed).standard_normal(LATENT_SHAPE, dtype=np.float32) for seed in seeds]
    scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config, use_karras_sigmas=True)
    scheduler.set_timesteps(sampling.steps)
    latents = torch.from_numpy(np.stack(noises)).to(pipeline.device) * scheduler.init_noise_sigma
    features = torch.cat([text_features(pipeline, [()] * len(captions), book), text_features(pipeline, captions, book)])
    for time in scheduler.timesteps:
        scaled = scheduler.scale_model_input(torch.cat([latents, latents]), time)
        without, with_text = pipeline.unet(scaled, time, encoder_hidden_states=features).sample.chunk(2)
        guided = without + sampling.guidance * (with_text - without)
        latents = scheduler.step(guided, time, latents).prev_sample
    return to_pictures(pipeline.vae.decode(latents / pipeline.vae.config.scaling_factor).sample)


def draw_all(
    pipeline: StableDiffusionPipeline,
    captions: list[Words],
    seeds: list[int],
    sampling: Sampling,
    book: WordBook,
    batch: int = 20,
) -> np.ndarray:
    """`draw` in batches."""
    parts = [
        draw(pipeline, captions[i : i + batch], seeds[i : i + batch], sampling, book)
        for i in range(0, len(captions), batch)
    ]
    return np.concatenate(parts)
