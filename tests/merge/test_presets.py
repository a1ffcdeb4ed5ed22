"""The named presets at known points, and the blocks of known keys."""

from __future__ import annotations

import math

import pytest
from prompt_pins.merge.blocks import as_list, block_names, block_of, group_of
from prompt_pins.merge.presets import PRESETS, preset

SD1 = [f"model.diffusion_model.{side}_blocks.{i}.0.weight" for side in ("input", "output") for i in range(12)]
SDXL = [f"model.diffusion_model.{side}_blocks.{i}.0.weight" for side in ("input", "output") for i in range(9)]
NAMES = block_names(SD1)


def test_blocks_are_those_of_block_weighted_merging() -> None:
    assert len(NAMES) == 26 and len(block_names(SDXL)) == 20
    assert NAMES[:2] + NAMES[12:15] + NAMES[-1:] == ("BASE", "IN00", "IN11", "M00", "OUT00", "OUT11")
    assert block_names(["first_stage_model.encoder.conv_in.weight"]) == ("BASE",)


@pytest.mark.parametrize(
    ("key", "block"),
    [
        ("model.diffusion_model.input_blocks.0.0.weight", "IN00"),
        ("model.diffusion_model.input_blocks.11.0.emb_layers.1.bias", "IN11"),
        ("model.diffusion_model.middle_block.1.transformer_blocks.0.attn1.to_out.0.weight", "M00"),
        ("model.diffusion_model.output_blocks.5.2.conv.weight", "OUT05"),
        ("model.diffusion_model.out.2.weight", "OUT11"),
        ("model.diffusion_model.time_embed.0.weight", "IN00"),
        ("model.diffusion_model.label_emb.0.0.weight", "IN00"),
        ("cond_stage_model.transformer.text_model.encoder.layers.3.mlp.fc1.weight", "BASE"),
        ("conditioner.embedders.1.model.transformer.resblocks.3.mlp.c_fc.weight", "BASE"),
        ("first_stage_model.decoder.conv_out.weight", "BASE"),
        ("model_ema.diffusion_modelinput_blocks00weight", "BASE"),
    ],
)
def test_the_block_of_a_key(key: str, block: str) -> None:
    assert block_of(key, NAMES) == block


def test_groups() -> None:
    assert list(map(group_of, ("BASE", "IN03", "M00", "OUT11"))) == ["BASE", "INPUT", "MIDDLE", "OUTPUT"]


@pytest.mark.parametrize(
    ("name", "points"),
    [
        ("GRAD_V", {0: 1.0, 3: 0.75, 12: 0.0, 24: 1.0}),
        ("GRAD_A", {0: 0.0, 3: 0.25, 12: 1.0, 24: 0.0}),
        ("FLAT_25", {0: 0.25, 24: 0.25}),
        ("SMOOTHSTEP", {0: 0.0, 6: 0.15625, 12: 0.5, 24: 1.0}),
        ("REVERSE_SMOOTHSTEP", {0: 1.0, 6: 0.84375, 24: 0.0}),
        ("COSINE", {0: 1.0, 8: 0.75, 12: 0.5, 24: 0.0}),
        ("REVERSE_COSINE", {8: 0.25, 24: 1.0}),
        ("FAKE_CUBIC_HERMITE", {0: 0.0, 6: 0.546875, 12: 0.5, 24: 1.0}),  # 0.15625 + 100/24 * 0.09375
        ("TRUE_CUBIC_HERMITE", {0: 0.0, 6: 0.58203125, 12: 0.5 + 0.5 / 24, 24: 1.0}),
        ("OUT07", {12: 0.0, 17: 0.0, 18: 1.0, 24: 1.0}),
        ("MID12_50", {4: 0.0, 5: 0.5, 18: 0.5, 19: 0.0}),
        ("RING08_SOFT", {4: 0.0, 5: 0.5, 6: 1.0, 8: 1.0, 9: 0.5, 15: 0.5, 16: 1.0, 18: 1.0, 19: 0.5, 20: 0.0}),
        ("RING08_5", {5: 0.0, 6: 1.0, 9: 1.0, 10: 0.0, 14: 0.0, 15: 1.0, 18: 1.0, 19: 0.0}),
        ("WRAP08", {3: 1.0, 4: 0.0, 20: 0.0, 21: 1.0}),
        ("WRAP12", {5: 1.0, 6: 0.0, 18: 0.0, 19: 1.0}),
        ("WRAP14", {6: 1.0, 7: 0.0, 17: 0.0, 18: 1.0}),
        ("WRAP16", {7: 1.0, 8: 0.0, 16: 0.0, 17: 1.0}),
    ],
)
def test_presets_at_known_points(name: str, points: dict[int, float]) -> None:
    found = list(preset(name, NAMES).values())
    assert found[0] == 0.0  # BASE
    for a, wanted in points.items():
        assert math.isclose(found[1 + a], wanted, abs_tol=1e-6), a


def test_presets_on_sdxl_are_the_same_curves_on_19_places() -> None:
    names = block_names(SDXL)
    assert [preset("GRAD_V", names)[block] for block in ("IN00", "M00", "OUT08")] == [1.0, 0.0, 1.0]
    assert preset("SMOOTHSTEP", names)["M00"] == 0.5
    for name in PRESETS:
        assert len(preset(name, names)) == 20 and all(0 <= weight <= 1 for weight in preset(name, names).values())
    assert as_list(preset("WRAP08", names)) == "0,1,1,1,0,0,0,0,0,0,0,0,0,0,0,0,0,1,1,1"
