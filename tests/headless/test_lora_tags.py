"""The LoRA tags of prompts and the files that they name, as the WebUI reads both."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch
from prompt_pins.errors import CheckpointError, PromptError
from prompt_pins.headless.lora_tags import Loras, Tag, load_loras, read_tags
from prompt_pins.headless.opening import open_host
from prompt_pins.host import Recipe
from safetensors.torch import save_file

LAYER = "lora_unet_mid_block_attentions_0_proj_in"


def file(path: Path, number: float = 1.0, **metadata: str) -> Path:
    """A LoRA whose alpha is a number, to be known by."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {"lora_down.weight": torch.ones(1, 3), "lora_up.weight": torch.ones(4, 1), "alpha": torch.tensor(number)}
    save_file({f"{LAYER}.{key}": value for key, value in tensors.items()}, path, metadata)
    return path


def alphas(folder: Path, prompt: str) -> list[float]:
    """Of the LoRAs that a prompt names."""
    return [lora.layers[LAYER].scale for lora in load_loras(folder, prompt)]


@pytest.mark.parametrize(
    ("prompt", "tags"),
    [
        ("a cat", []),
        ("<lora:a>", [Tag("a", 1, 1)]),
        ("a <lora:a:0.8> cat", [Tag("a", 0.8, 0.8)]),
        ("<lora:a:0.8:-0.5>", [Tag("a", 0.8, -0.5)]),
        ("<lora:a:te=0.5>", [Tag("a", 0.5, 0.5)]),
        ("<lora:a:unet=0.5>", [Tag("a", 1, 0.5)]),
        ("<lora:a:0.7:unet=.5:te=2>", [Tag("a", 2, 0.5)]),
        ("<lora:te=0.3:a>", [Tag("a", 0.3, 0.3)]),
        ("<lora:a: 1e-1 :0.5:4>", [Tag("a", 0.1, 0.5, 4)]),
        ("<lora:a:1:dyn=8>", [Tag("a", 1, 1, 8)]),
        ("<lyco:a:0.5><lora:b b:2>", [Tag("a", 0.5, 0.5), Tag("b b", 2, 2)]),
        ("<lora:a:0.5><lora:a:0.2>", [Tag("a", 0.2, 0.2), Tag("a", 0.2, 0.2)]),
        ("<hypernet:a:1> # <lora:b:1>", []),
        ("((<lora:a:1>:0.5) AND <lora:b:0.5>", [Tag("a", 1, 1), Tag("b", 0.5, 0.5)]),
    ],
)
def test_tags(prompt: str, tags: list[Tag]) -> None:
    assert list(read_tags(prompt)) == tags


@pytest.mark.parametrize(
    ("prompt", "said"),
    [
        ("a cat <lora:a:strong>", "column 7: <lora:a:strong>: a multiplier is a number"),
        ("<lora:a:1:x>", "a multiplier is a number"),
        ("<lora:a:>", "a multiplier is a number"),
        ("<lora:a:nan>", "a multiplier is a finite number"),
        ("<lora:a:1:unet=inf>", "a multiplier is a finite number"),
        ("<lora:a:1:1:2.5>", "a multiplier is a number"),
        ("<lora:te=1>", "names no LoRA"),
        ("<lora:a:1:1:" + "9" * 5000 + ">", "a multiplier is a number"),
        ("<lora:a:" + "x" * 5000 + ">", "a multiplier is a number"),
    ],
)
def test_tags_that_cannot_be_read(prompt: str, said: str) -> None:
    with pytest.raises(PromptError) as raised:
        read_tags(prompt)
    assert said in str(raised.value) and len(str(raised.value)) < 400


def test_files_are_found_by_name_wherever_they_lie(tmp_path: Path) -> None:
    file(tmp_path / "plain.safetensors", 2)
    file(tmp_path / "styles" / "old" / "My Brush v1.2.SAFETENSORS", 3)
    assert alphas(tmp_path, "<lora:plain:1><lora:My Brush v1.2><lora:plain:0.5>") == [2, 3]
    (tmp_path / "styles" / "again").symlink_to(tmp_path)
    assert alphas(tmp_path, "<lora:plain>") == [2]


def test_of_two_files_of_a_name_the_last_counts(tmp_path: Path) -> None:
    for folder, number in (("b10", 3), ("b2", 2), ("", 1)):
        file(tmp_path / folder / "x.safetensors", number)
    assert alphas(tmp_path, "<lora:x>") == [3]


def test_a_file_may_say_its_own_name(tmp_path: Path) -> None:
    file(tmp_path / "a-000010.safetensors", 2, ss_output_name="brush")
    file(tmp_path / "b.safetensors", 3, ss_output_name="plain")
    file(tmp_path / "plain.safetensors", 4)
    (tmp_path / "broken.safetensors").write_bytes(b"x")
    assert alphas(tmp_path, "<lora:brush:0.5><lora:a-000010><lora:plain>") == [2, 2, 4]
    file(tmp_path / "a-000020.safetensors", 5, ss_output_name="brush")
    with pytest.raises(CheckpointError, match="there is no 'brush'"):
        load_loras(tmp_path, "<lora:brush>")


def test_a_missing_one_is_an_error_with_the_nearest_names(tmp_path: Path) -> None:
    file(tmp_path / "Watercolour_v2.safetensors")
    file(tmp_path / "pencil.safetensors", ss_output_name="pencils of old")
    with pytest.raises(CheckpointError) as raised:
        load_loras(tmp_path, "<lora:watercolor-v2:0.8>")
    said = f"loras: there is no 'watercolor-v2' in {tmp_path}; the nearest: Watercolour_v2"
    assert str(raised.value) == said
    with pytest.raises(CheckpointError, match="there are: Watercolour_v2, pencil, pencils of old"):
        load_loras(tmp_path, "<lora:x>")
    with pytest.raises(CheckpointError, match="there is none at all"):
        load_loras(file(tmp_path / "empty" / "x.pt").parent, "<lora:q>")
    with pytest.raises(CheckpointError, match=r"x\.pt is a pickle, which can run code"):
        load_loras(tmp_path, "<lora:x>")


def test_folders_that_are_none(tmp_path: Path) -> None:
    assert load_loras(None, "a cat <hypernet:x:1>") == () == load_loras(tmp_path / "none", "a cat")
    with pytest.raises(CheckpointError, match=r"names the LoRA 'x'; say which folder it is in \(--loras\)"):
        load_loras(None, "<lora:x:1>")
    with pytest.raises(CheckpointError, match=r"is not a folder \(it does not exist"):
        load_loras(tmp_path / "none", "<lora:x:1>")
    with pytest.raises(CheckpointError, match=r"is not a folder$"):
        load_loras(file(tmp_path / "x.safetensors"), "<lora:x:1>")
    os.mkfifo(tmp_path / "y.safetensors")
    with pytest.raises(CheckpointError, match=r"y\.safetensors is no file"):
        load_loras(tmp_path, "<lora:y:1>")


def test_names_in_infotexts_hold_no_marks(tmp_path: Path) -> None:
    file(tmp_path / "a, b.safetensors", sshs_model_hash="0123456789abcdef")
    loras = Loras(load_loras(tmp_path, "<lora:a, b:0.5>"))
    assert loras.parameters("<lora:a, b:0.7>") == {"Lora hashes": "a b: 0123456789ab"}
    assert loras.parameters("a cat") == {}


def test_a_lora_of_another_model_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    file(tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match="is for another kind of model"):
        open_host(device="cpu", loras=tmp_path, prompt="<lora:x:1>")


def test_other_networks_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    host = open_host(device="cpu", prompt="a cat <hypernet:x:1>")
    with caplog.at_level(logging.WARNING):
        for name in "xy":
            host.reader.guidance(Recipe(f"a cat <hypernet:{name}:1>"), 1)
    assert [record.getMessage() for record in caplog.records] == [
        "the headless host loads no extra networks but LoRAs: <hypernet:x:1> is left out of the prompt"
    ]
