"""A tagger of the user's own: an ONNX file and its tags, as WD14's are published, or DeepDanbooru's file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.loss import deepdanbooru, tagger
from prompt_pins.run import pin
from prompt_pins.store import Runs

from tests.loss.onnx_file import network
from tests.loss.published import Danbooru
from tests.run.painter import Painter

SIDE = 8
TAGS = ("general", "red_hair", "blue", "dark")
MATRIX = np.array([[0.0, -0.01, 0.02, -0.02], [0.0, -0.01, 0.0, -0.02], [0.0, 0.02, -0.01, -0.02]])  # blue first
SHIFT = np.array([0.5, -1.0, -1.0, 2.0])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder of scorers with a tagger."""
    folder = tmp_path / "scorers" / "tagger"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(network(SIDE, MATRIX, SHIFT))
    lines = ["tag_id,name,category,count", *(f'{n},"{tag}",{9 if n == 0 else 0},7' for n, tag in enumerate(TAGS))]
    (folder / "selected_tags.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "scorers"


def wanted(image: np.ndarray) -> dict[str, float]:
    """The published steps, one by one: a white square, scaled, blue first, the whole network."""
    height, width = image.shape[:2]
    square = np.full((max(height, width), max(height, width), 3), 255, np.uint8)
    top, left = (square.shape[0] - height) // 2, (square.shape[1] - width) // 2
    square[top : top + height, left : left + width] = image
    small = np.asarray(Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float64)
    sums = small[:, :, ::-1].mean(axis=(0, 1)) @ MATRIX + SHIFT
    return dict(zip(TAGS, 1 / (1 + np.exp(-sums))))


@pytest.mark.parametrize("size", [(8, 8), (20, 13), (9, 40)])
def test_each_tag_has_its_probability_by_both_names(root: Path, size: tuple[int, int]) -> None:
    pytest.importorskip("onnxruntime")
    images = np.random.default_rng(5).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    find = tagger.find(str(root), "auto")
    assert find is not None
    for image, found in zip(images, find(images), strict=True):
        expected = wanted(image)
        assert found["red hair"] == found["red_hair"]
        assert {tag: found[tag] for tag in TAGS} == pytest.approx(expected, abs=1e-5)


def test_it_is_what_a_run_asks_for_tags(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    values: dict[str, Any] = {
        "prompt": "a red blue circle",
        "steps": 1,
        "batch_size": 2,
        "lambda_": 3,
        "generations": 1,
    }
    values |= {"held_out": 0, "finalists": 0, "plots": False, "gifs": False, "start": "original"}
    config = RunConfig(**values, loss_objectives=("tags",), tags_wanted=("red hair",), scorers=str(root))
    list(pin.start(config, Painter(), Runs(tmp_path / "runs")))
    folder = Runs(tmp_path / "runs").find("0")
    for candidate in folder.record().candidates:
        pictures = [np.asarray(Image.open(folder.path / candidate.folder / name)) for name in candidate.images]
        fit = np.mean([1 - wanted(picture)["red_hair"] for picture in pictures])
        assert candidate.fit == pytest.approx(fit, abs=1e-5)


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("model.onnx", None, r"until there is .*model\.onnx"),
        ("selected_tags.csv", None, r"until there is .*selected_tags\.csv"),
        ("model.onnx", b"nothing", "cannot be used"),
        ("model.onnx", network(SIDE, MATRIX[:, :2], SHIFT[:2]), r"tells 2 tags, and selected_tags\.csv names 4"),
        ("selected_tags.csv", b"\xff\xfe", "cannot be used"),
        ("selected_tags.csv", b"tag,count\nred,2\n", "cannot be used"),
    ],
)
def test_what_is_missing_or_damaged_is_named(root: Path, name: str, content: bytes | None, said: str) -> None:
    pytest.importorskip("onnxruntime")
    (root / "tagger" / name).unlink() if content is None else (root / "tagger" / name).write_bytes(content)
    with pytest.raises(OptionError, match=f"(?s)loss_objectives.*tags.*{said}"):
        tagger.find(str(root), "auto")


def test_a_folder_without_one_has_none_and_a_package_that_is_missing_is_named(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tagger.find("", "auto") is None and tagger.find(str(tmp_path), "auto") is None
    monkeypatch.setattr(tagger, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="the package onnxruntime"):
        tagger.find(str(root), "auto")


@pytest.fixture
def danbooru(tmp_path: Path) -> tuple[Path, Danbooru]:
    """A folder of scorers with a small DeepDanbooru, and its network."""
    torch.manual_seed(4)
    folder, made = tmp_path / "scorers" / "tagger", Danbooru(len(TAGS))
    folder.mkdir(parents=True)
    torch.save({**made.state_dict(), "tags": list(TAGS)}, folder / tagger.DEEPDANBOORU)
    return folder.parent, made


@pytest.mark.parametrize("height, width", [(512, 512), (24, 40), (40, 24), (700, 3)])
def test_deepdanbooru_sees_the_image_between_its_repeated_edges(
    danbooru: tuple[Path, Danbooru], height: int, width: int
) -> None:
    root, network = danbooru
    image = np.random.default_rng(6).integers(0, 256, (height, width, 3), dtype=np.uint8)
    find = tagger.find(str(root), "cpu")
    assert find is not None
    longer = max(height, width)
    size = (width * 512 // longer, height * 512 // longer)
    scaled = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
    rows, columns = (np.clip(np.arange(512) - (256 - side // 2), 0, side - 1) for side in size[::-1])
    pixels = torch.from_numpy(scaled[np.ix_(rows, columns)].astype(np.float32) / 255.0)
    with torch.no_grad():
        expected = network(pixels.permute(2, 0, 1)[None])[0].tolist()
    (found,) = find(image[None])
    assert found["red hair"] == found["red_hair"]
    assert [found[tag] for tag in TAGS] == pytest.approx(expected, abs=1e-5)
    assert np.ptp(expected) > 0.01  # or it could not tell right from wrong


@pytest.mark.parametrize(
    "content, said",
    [
        (b"nothing", "cannot be used"),
        ({"tags": list(TAGS)}, "tells 0 tags, and names 4"),
        ({**Danbooru(3).state_dict(), "tags": list(TAGS)}, "tells 3 tags, and names 4"),
        ({**Danbooru(4).state_dict(), "tags": Path("tags")}, "cannot be used"),
    ],
)
def test_a_file_that_is_no_deepdanbooru_is_said_so(tmp_path: Path, content: Any, said: str) -> None:
    file = tmp_path / "tagger" / tagger.DEEPDANBOORU
    file.parent.mkdir()
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        torch.save(content, file)
    with pytest.raises(OptionError, match=f"(?s)loss_objectives.*tags.*{said}"):
        tagger.find(str(tmp_path), "auto")


def test_a_webuis_own_torch_load_reads_it_or_says_that_it_does_not_trust_it(
    danbooru: tuple[Path, Danbooru], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, plain, trusted = danbooru[0], torch.load, [True]

    def guarded(filename: Any, extra_handler: None = None, *args: Any, **more: Any) -> Any:
        assert extra_handler is None
        return plain(filename, *args, **more) if trusted[0] else None

    monkeypatch.setattr(torch, "load", guarded)
    assert tagger.find(str(root), "cpu") is not None
    deepdanbooru.load.cache_clear()
    trusted[0] = False
    with pytest.raises(OptionError, match="the WebUI does not trust model-resnet_custom_v3"):
        tagger.find(str(root), "cpu")
