"""The samplers bound to a host's denoiser: what is cut, what is put back, and what is never touched."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from prompt_pins.sampling import SAMPLERS, ForkOptions, make_hyperbatch
from prompt_pins.webui.binding import WebuiBinder, cut_conditioning, leaf_seeds
from torch import Tensor

from tests.webui.denoiser import SHAPE, Denoiser, InterruptedException, job

SIGMAS = torch.cat([torch.linspace(10, 0.1, 12), torch.zeros(1)])


def sample(name: str, denoiser: Denoiser, extra: dict[str, Any], policy: str = "even", **options: Any) -> Tensor:
    """One call of a hyperbatch sampler, as the host makes it."""
    binder = WebuiBinder(lambda call: ForkOptions(policy), InterruptedException)
    x = denoiser.p.rng.next() * SIGMAS[0]
    denoiser.sampler.last_latent = x
    return make_hyperbatch(name, binder=binder)(denoiser, x, SIGMAS, extra_args=extra, **options)


@pytest.mark.parametrize("inpainting", [False, True])
@pytest.mark.parametrize("size", [2, 3, 8])
@pytest.mark.parametrize("name", SAMPLERS)
def test_leaf_0_is_the_plain_batchs_first_image(name: str, size: int, inpainting: bool) -> None:
    denoiser, _, extra = job(size, inpainting)
    tree = sample(name, denoiser, extra)
    assert denoiser.sizes[0] == 1 and denoiser.sizes[-1] == size
    plain_denoiser, _, plain_extra = job(size, inpainting)
    plain = sample(name, plain_denoiser, plain_extra, "none")
    assert set(plain_denoiser.sizes) == {size}
    assert torch.equal(tree[0], plain[0])
    assert all(not torch.allclose(tree[i], tree[j]) for i in range(size) for j in range(i))


@pytest.mark.parametrize("ends", ["well", "interrupted", "broken"])
def test_the_hosts_objects_are_whole_afterwards(ends: str) -> None:
    denoiser, cached, extra = job(8, inpainting=True)
    before, init_latent = dict(extra), denoiser.init_latent
    rows, parts = list(cached.uncond), [list(image) for image in cached.cond.batch]
    if ends == "interrupted":
        denoiser.interrupt_at = 5
        with pytest.raises(InterruptedException):
            sample("DPM++ 2M", denoiser, extra)
    elif ends == "broken":
        with pytest.raises(ZeroDivisionError):
            sample("DPM++ 2M", denoiser, extra, callback=lambda seen: 1 // (4 - seen["i"]))
    else:
        sample("DPM++ 2M", denoiser, extra)
    assert extra.keys() == before.keys() and all(extra[name] is before[name] for name in before)
    assert denoiser.init_latent is init_latent
    assert "update_inner_model" not in vars(denoiser)
    assert cached.cond.shape == (8,) and cached.cond.batch == parts and cached.uncond == rows


@pytest.mark.parametrize("at", [0, 1, 3, 7, 9])
def test_an_interruption_leaves_a_latent_of_every_image(at: int) -> None:
    denoiser, _, extra = job(8)
    denoiser.interrupt_at = at
    with pytest.raises(InterruptedException):
        sample("DPM++ 2M", denoiser, extra)
    latent = denoiser.sampler.last_latent
    assert latent.shape == (8, *SHAPE)
    if denoiser.sizes:
        size = denoiser.sizes[-1]
        assert all(torch.equal(latent[leaf], latent[leaf % size]) for leaf in range(8))


@pytest.mark.parametrize("at", [0, 2, 4, 11])
def test_a_refiner_may_take_over_at_any_step(at: int) -> None:
    denoiser, _, extra = job(8)
    denoiser.refine_at = at
    refined = sample("DPM++ 2M", denoiser, extra)
    assert extra["cond"] is denoiser.refined.cond and extra["uncond"] is denoiser.refined.uncond
    plain_denoiser, _, plain_extra = job(8)
    plain_denoiser.refine_at = at
    plain = sample("DPM++ 2M", plain_denoiser, plain_extra, "none")
    assert torch.equal(refined[0], plain[0])


def test_the_hosts_generators_are_read_as_by_the_plain_sampler() -> None:
    left: list[Tensor] = []
    for policy in ("even", "none"):
        denoiser, _, extra = job(4)
        sample("Euler a", denoiser, extra, policy)
        left.append(denoiser.p.rng.next())
    assert torch.equal(left[0], left[1])


def test_conditionings_are_cut_into_new_objects() -> None:
    _, cached, _ = job(4)
    whole = copy.copy(cached.cond.batch)
    part = cut_conditioning(cached.cond, range(2), 4)
    assert part is not cached.cond and part.shape == (2,) and part.batch == whole[:2]
    assert all(a is b for a, b in zip(part.batch, whole, strict=False))
    assert cut_conditioning(None, range(2), 4) is None


def test_variation_seeds_part_images_of_one_seed() -> None:
    denoiser, _, _ = job(3)
    rng = denoiser.p.rng
    rng.seeds, rng.subseeds, rng.subseed_strength = [5, 5, 5], [1, 2, 3], 0.2
    assert len(set(leaf_seeds(denoiser.p, 3))) == 3
    assert leaf_seeds(denoiser.p, 2) == [0, 1]
