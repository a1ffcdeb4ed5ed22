"""Put the exported model into an AUTOMATIC1111 WebUI: the checkpoint, its yaml, and the folder the yaml names.

The WebUI builds the text encoder from a transformers config, and the tokenizer from CLIP's vocabulary; for
Stable Diffusion's own sizes it fetches both. This model has its own size, so both are written as files.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from embedded.configs import CLIP_FOLDER, YAML_NAME, text_config
from embedded.words import read_vocabulary

TOKENIZER = {
    "tokenizer_class": "CLIPTokenizer",
    "model_max_length": 77,
    "do_lower_case": True,
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
}


def write_clip_folder(folder: Path) -> None:
    """The text encoder's config and CLIP's tokenizer files, as transformers reads them from a folder."""
    vocabulary, merges = read_vocabulary()
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("config.json", text_config()),
        ("tokenizer_config.json", TOKENIZER),
        ("vocab.json", vocabulary),
    ):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def install(exported: Path, checkpoint_name: str, webui: Path) -> Path:
    """Copy checkpoint and yaml from `exported` into the WebUI's models; returns the checkpoint's new path."""
    models = webui / "models" / "Stable-diffusion"
    if not models.is_dir():
        raise FileNotFoundError(f"{models}: expected a WebUI's folder of checkpoints")
    for name in (checkpoint_name, YAML_NAME):
        shutil.copyfile(exported / name, models / name)
    write_clip_folder(webui / CLIP_FOLDER)
    return models / checkpoint_name
