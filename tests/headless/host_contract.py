"""What every host must keep.

Subclass `HostContract` where there is a fixture `host`, and give it a `job` that the host renders quickly.
"""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
from prompt_pins.config import RenderOptions
from prompt_pins.errors import OptionError
from prompt_pins.host import Host, Recipe

PROMPT = Recipe("a (red:1.2) circle on a green background", "blue")
SEEDS = (7, 8, 9, 2**32 - 1)


class HostContract:
    """The suite.  `job` is small enough to be rendered a few dozen times."""

    job: ClassVar[RenderOptions] = RenderOptions(steps=4, batch_size=4)
    seeds: ClassVar[tuple[int, ...]] = SEEDS

    def test_describes_itself_in_plain_json_and_always_alike(self, host: Host) -> None:
        first = host.describe()
        assert json.loads(json.dumps(first)) == first == host.describe()
        assert {"name", "version", "checkpoint"} <= first.keys()

    def test_embeddings_are_names(self, host: Host) -> None:
        assert all(isinstance(name, str) and name for name in host.embeddings())

    @pytest.mark.parametrize("forked", [True, False])
    def test_a_batch_is_one_image_a_seed(self, host: Host, forked: bool) -> None:
        batch = host.render(PROMPT, self.seeds, self.job, forked)
        count, height, width, channels = batch.images.shape
        assert (count, channels, batch.images.dtype) == (4, 3, np.uint8)
        assert height % 8 == width % 8 == 0
        assert batch.evaluations == host.evaluations(4, self.job, forked)
        assert len(batch.infotexts) == 4
        for seed, text in zip(self.seeds, batch.infotexts, strict=True):
            assert text.startswith(f"{PROMPT.prompt}\nNegative prompt: {PROMPT.negative_prompt}\nSteps: 4, ")
            assert f"Seed: {seed}," in text and f"Size: {width}x{height}" in text

    @pytest.mark.parametrize("forked", [True, False])
    def test_the_same_seeds_give_the_same_images(self, host: Host, forked: bool) -> None:
        first = host.render(PROMPT, self.seeds, self.job, forked).images
        host.render(Recipe("something else", "entirely"), (1, 2), self.job, forked)
        assert np.array_equal(first, host.render(PROMPT, self.seeds, self.job, forked).images)

    @pytest.mark.parametrize("forked", [True, False])
    def test_images_of_a_batch_differ(self, host: Host, forked: bool) -> None:
        images = host.render(PROMPT, self.seeds, self.job, forked).images
        assert len({image.tobytes() for image in images}) == 4

    def test_two_prompts_give_two_batches(self, host: Host) -> None:
        for other in ("a (red:1.3) circle on a green background", "a square"):
            pair = Recipe(other, PROMPT.negative_prompt)
            images = host.render(pair, self.seeds, self.job, True).images
            assert not np.array_equal(images, host.render(PROMPT, self.seeds, self.job, True).images)

    def test_the_negative_prompt_matters(self, host: Host) -> None:
        images = host.render(Recipe(PROMPT.prompt, "(blue:1.5)"), self.seeds, self.job, True).images
        assert not np.array_equal(images, host.render(PROMPT, self.seeds, self.job, True).images)

    def test_unforked_images_do_not_depend_on_each_other(self, host: Host) -> None:
        batch = host.render(PROMPT, self.seeds, self.job, False).images.astype(int)
        for row, seed in enumerate(self.seeds):
            alone = host.render(PROMPT, (seed,), self.job, False).images.astype(int)
            apart = abs(batch[row] - alone[0])
            if host.describe().get("prediction") == "v":  # a batch rounds otherwise; this random network amplifies it
                assert apart.mean() <= 0.2 * abs(batch[row] - batch[row - 1]).mean()
            else:
                assert apart.max() <= 1

    def test_leaf_0_is_the_plain_image(self, host: Host) -> None:
        forked = host.render(PROMPT, self.seeds, self.job, True).images.astype(int)
        plain = host.render(PROMPT, self.seeds[:1], self.job, False).images.astype(int)
        assert abs(forked[0] - plain[0]).max() <= 1

    @pytest.mark.parametrize("size", [1, 3, 8])
    @pytest.mark.parametrize("forked", [True, False])
    def test_levels_are_a_tree_from_one_root_to_every_leaf(self, host: Host, size: int, forked: bool) -> None:
        levels = host.levels(size, dataclasses.replace(self.job, steps=10), forked)
        assert set(levels[0]) == {0} and levels[-1] == tuple(range(size))
        assert all(len(level) == size for level in levels)
        for upper, lower in pairwise(levels):
            parents = dict(zip(lower, upper, strict=True))
            assert all(parents[node] == above for node, above in zip(lower, upper, strict=True))
        assert len(levels) <= 2 or forked

    def test_forking_saves_evaluations_and_plain_batches_cost_all(self, host: Host) -> None:
        job = dataclasses.replace(self.job, steps=10)
        assert host.evaluations(8, job, False) == 80 > host.evaluations(8, job, True) >= 10
        assert host.evaluations(1, job, True) == 10

    def test_an_unknown_sampler_is_refused_with_near_names(self, host: Host) -> None:
        job = dataclasses.replace(self.job, sampler="DPM+ 2M Hyperbath")
        with pytest.raises(OptionError, match=r"sampler: .*DPM\+\+ 2M - Hyperbatch"):
            host.render(PROMPT, self.seeds, job, True)

    def test_nobody_interrupted(self, host: Host) -> None:
        host.render(PROMPT, self.seeds[:1], self.job, False)
        assert host.interrupted() is False
