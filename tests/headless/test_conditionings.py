"""What the UNet is told of prompts, against what AUTOMATIC1111 told it of the same ones."""

from __future__ import annotations

import logging

import pytest
import torch
from prompt_pins.errors import OptionError
from prompt_pins.headless.engine import HeadlessHost
from safetensors.torch import load_file

from tests.headless.conditionings import PLACE, Case, cases, kept, told
from tests.headless.tiny import WIDTH

SAME = 1e-5


def test_weights_chunks_parts_and_schedules_are_told_as_by_the_webui(host: HeadlessHost, layout: str) -> None:
    theirs = load_file(PLACE / f"{layout}.safetensors")
    ours = {
        f"{name}/{key}": value for name, case in cases(layout).items() for key, value in kept(told(host, case)).items()
    }
    assert ours.keys() == theirs.keys() and len(ours) > 15
    for key, value in ours.items():
        assert value.shape == theirs[key].shape
        assert (value - theirs[key]).abs().max() <= SAME * max(1.0, theirs[key].abs().max()), key


def test_without_the_norm_only_weighted_words_change(host: HeadlessHost) -> None:
    plain, weighted = (told(host, Case(text, emphasis="no-norm")) for text in ("a red cat", "a (red:1.5) cat"))
    before, after = plain["cond.0.0.crossattn"].clone(), weighted["cond.0.0.crossattn"]
    before[2] *= 1.5
    assert torch.allclose(after, before, atol=1e-6)


def test_a_factor_that_is_far_from_one_is_said_once(
    hosts: dict[str, HeadlessHost], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One word's weight is so that the mean of all vectors of a text encoder becomes nearly 0."""
    host = hosts["sdxl"]
    monkeypatch.setattr(host.reader.encoder, "_warned", False)
    sums = told(host, Case("a red cat"))["cond.0.0.crossattn"][:, :WIDTH].sum(dim=1)
    weight = float(1 - sums.sum() / sums[2])
    with caplog.at_level(logging.WARNING):
        told(host, Case(f"a (red:{weight:.3f}) cat", emphasis="no-norm"))
        assert not caplog.records
        for end in ("", ",", "!"):
            told(host, Case(f"a (red:{weight:.3f}) cat{end}"))
    (record,) = caplog.records
    assert "which is nearly 0" in record.getMessage() and "'no-norm' does not" in record.getMessage()


def test_a_clip_skip_that_no_layer_has_is_refused(host: HeadlessHost, layout: str) -> None:
    most = {"sd1": "0 to 3", "sd2": "0: a text encoder", "sdxl": "0 to 3"}[layout]
    for skip in (4, 32, *([1] if layout == "sd2" else [])):
        with pytest.raises(OptionError, match=f"clip_skip: {skip} .*{most}"):
            told(host, Case("a cat", clip_skip=skip))
