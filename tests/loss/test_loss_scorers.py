"""Scorers: each equals its reference's arithmetic on random networks in the true layouts, and nothing connects."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.loss import LossOptions, batch_targets, clip, image_reward, score_batch, tried
from prompt_pins.loss.scorers import SCORERS, scores
from prompt_pins.run import pin
from prompt_pins.run.scoring import loss_options
from prompt_pins.space import plain
from prompt_pins.store import Runs
from safetensors.torch import load_file, save_file
from torch import nn

from tests.loss import published
from tests.run.painter import Painter

pytest.importorskip("ftfy")  # a WebUI's packages need not hold these two
pytest.importorskip("transformers")

from prompt_pins.headless.vocabulary import MERGES, VOCABULARY, Vocabulary, byte_symbols
from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

TEXT = "a red circle, it’s “large”"
LAYERS = (24, 16, 8, 6, 4, 1)
HPS = "HPS_v2.1_compressed.pt"
BERT = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##s", "a", "circle", "red", ",", "on", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scorers, made with other code than reads it."""
    import gzip

    root = tmp_path_factory.mktemp("scorers")
    lines = gzip.decompress(VOCABULARY.read_bytes()).decode("utf-8").split("\n")[1 : MERGES + 1]
    merges = [tuple(line.split()) for line in lines]
    words = [*byte_symbols(), *(f"{s}</w>" for s in byte_symbols()), *map("".join, merges)]
    ids = {word: index for index, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    tokenizer = CLIPTokenizer(vocab=ids, merges=merges, model_max_length=77)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = CLIPConfig(
        text_config={**shape, "eos_token_id": 49407, "bos_token_id": 49406},
        vision_config={**shape, "image_size": 32, "patch_size": 8}, projection_dim=LAYERS[0],
    )  # fmt: skip
    for seed, name in enumerate(("clip", "pickscore")):
        torch.manual_seed(seed)
        CLIPModel(config).save_pretrained(root / name, safe_serialization=True)
        tokenizer.save_pretrained(root / name)
    (root / "pickscore" / "preprocessor_config.json").write_text(
        '{"image_mean": [0.5, 0.4, 0.3], "image_std": [1, 2, 3]}'
    )
    torch.manual_seed(9)
    torch.save(head().state_dict(), root / "aesthetic.pth")
    (root / "imagereward").mkdir()
    tokenizer.save_pretrained(root / "hps")
    torch.save({"epoch": 1, "state_dict": published.OpenClip().state_dict()}, root / "hps" / HPS)
    torch.save(published.Reward(len(BERT)).state_dict(), root / "imagereward" / "ImageReward.pt")
    (root / "imagereward" / "vocab.txt").write_text("\n".join(BERT))
    return root


@pytest.fixture(autouse=True)
def unplugged(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing may try to connect, or ask for a name."""

    def refuse(*words: Any) -> None:
        raise AssertionError(f"something connects: {words}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    yield
    clip.load.cache_clear()
    clip.text_vector.cache_clear()
    image_reward.load.cache_clear()


def head() -> nn.Module:
    """LAION's predictor: a stack of linear layers with dropout between them, named as in its files."""
    parts: list[nn.Module] = []
    for place, (wide, narrow) in enumerate(itertools.pairwise(LAYERS)):
        parts += [nn.Linear(wide, narrow), *([nn.Dropout(0.1)] if place < 3 else [])]
    module = nn.Module()
    module.layers = nn.Sequential(*parts)
    return module


def pictures(size: tuple[int, int] = (48, 70)) -> np.ndarray:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 255, (5, 6, 7, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize(size[::-1])) for one in small])


def stacked(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).copy())


def reference(place: Path, images: np.ndarray, mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    """The published way: the processor's steps one by one, then the whole model."""
    model, pixels = CLIPModel.from_pretrained(place).eval(), processed(images, mean, std)
    tokens = [49406, *Vocabulary().tokens([TEXT])[0], 49407]
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens]), pixel_values=pixels), model.logit_scale.exp().item()


def processed(images: np.ndarray, mean: tuple[float, ...] = clip.MEAN, std: tuple[float, ...] = clip.STD) -> Any:
    """The steps of CLIP's processor, one by one."""
    rows = []
    for one in images:
        picture = Image.fromarray(one)
        share = 32 / min(picture.size)
        picture = picture.resize([int(side * share) for side in picture.size], Image.Resampling.BICUBIC)
        left, top = (picture.width - 32) // 2, (picture.height - 32) // 2
        cut = np.asarray(picture, dtype=np.float64)[top : top + 32, left : left + 32]
        rows.append(((cut / 255 - np.array(mean)) / np.array(std)).transpose(2, 0, 1))
    return torch.tensor(np.stack(rows), dtype=torch.float32)


def barred(images: np.ndarray) -> Any:
    """HPS v2's own way: each colour scaled as numbers that nobody rounds, then black bars on both sides."""
    rows = []
    for one in images / 255.0:
        share = 32 / max(one.shape[:2])
        size = [round(side * share) for side in one.shape[:2]]
        colours = [Image.fromarray(colour.astype(np.float32)) for colour in one.transpose(2, 0, 1)]
        scaled = np.stack([np.asarray(c.resize(size[::-1], Image.Resampling.BICUBIC)) for c in colours])
        bars = [((32 - side) // 2, 32 - side - (32 - side) // 2) for side in size]
        padded = np.pad(scaled, [(0, 0), *bars])
        rows.append((padded - np.array(clip.MEAN)[:, None, None]) / np.array(clip.STD)[:, None, None])
    return torch.tensor(np.stack(rows), dtype=torch.float32)


@pytest.mark.parametrize("size", [(48, 70), (70, 33), (48, 48), (32, 32), (32, 9), (8, 6), (400, 3)])
def test_a_whole_image_between_black_bars(size: tuple[int, int]) -> None:
    images = pictures(size)
    mean, std = (clip.colours(row, torch.device("cpu")) for row in (clip.MEAN, clip.STD))
    found = torch.cat(list(clip.processed(stacked(images), 32, mean, std, whole=True)))
    assert found.shape == (5, 3, 32, 32)
    if size != (400, 3):  # it is less than half a pixel wide then, and one is drawn
        assert torch.allclose(found, barred(images), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "mean", "std"), [("clip", clip.MEAN, clip.STD), ("pickscore", (0.5, 0.4, 0.3), (1.0, 2.0, 3.0))]
)
def test_text_and_image(folder: Path, name: str, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    images = pictures()
    text = TEXT.replace("’", "'").replace("“", '"').replace("”", '"')  # the reference mends texts by ftfy
    options = LossOptions(loss_objectives={name: 1.0}, scorers=str(folder), score_text=text, device="cpu")
    found = scores(name, stacked(images), options)
    told, scale = reference(folder / name, images, mean, std)
    assert torch.allclose(found, told.logits_per_image[:, 0].double() / scale, atol=1e-4) and found.std() > 1e-3
    alone = torch.cat([scores(name, stacked(one[None]), options) for one in images])
    assert torch.allclose(alone, found, atol=1e-5)
    result = score_batch(images, batch_targets(images[:1]), None, options)
    assert [fit for fit, _ in result.per_image] == pytest.approx((1 - found).tolist(), abs=1e-6)


def test_the_aesthetic_head(folder: Path, tmp_path: Path) -> None:
    images = pictures((70, 48))
    model = head().eval()
    model.load_state_dict(torch.load(folder / "aesthetic.pth", weights_only=True))
    embeds = reference(folder / "clip", images, clip.MEAN, clip.STD)[0].image_embeds
    with torch.no_grad():
        wanted = model.layers(embeds / embeds.norm(dim=-1, keepdim=True))[:, 0].double()
    options = LossOptions(loss_objectives={"aesthetic": 1.0}, scorers=str(folder), device="cpu")
    assert torch.allclose(scores("aesthetic", stacked(images), options), wanted, atol=1e-4) and wanted.std() > 1e-3
    shutil.copytree(folder / "clip", tmp_path / "clip")
    save_file(torch.load(folder / "aesthetic.pth", weights_only=True), tmp_path / "aesthetic.safetensors")
    again = scores("aesthetic", stacked(images), LossOptions(scorers=str(tmp_path), device="cpu"))
    assert torch.allclose(again, wanted, atol=1e-4)


@pytest.mark.parametrize(("kind", "size"), [(".pt", (48, 70)), (".safetensors", (90, 40)), (".pt", (48, 48))])
def test_hps_in_its_own_file(folder: Path, tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    images, model = pictures(size), published.OpenClip().eval()
    saved = torch.load(folder / "hps" / HPS, weights_only=True)["state_dict"]
    model.load_state_dict(saved)
    with torch.no_grad():
        wanted = model(barred(images), [49406, *Vocabulary().tokens(["a red circle"])[0], 49407]).double()
    root = folder
    if kind == ".safetensors":
        root = tmp_path
        shutil.copytree(folder / "hps", root / "hps", ignore=shutil.ignore_patterns("*.pt"))
        save_file(saved, root / "hps" / "HPS_v2_compressed.safetensors")
    options = LossOptions(scorers=str(root), score_text="a red circle", device="cpu")
    found = scores("hps", stacked(images), options)
    assert torch.allclose(found, wanted, atol=1e-4) and found.std() > 1e-3


def test_each_model_is_opened_once(folder: Path) -> None:
    options = LossOptions(scorers=str(folder), score_text="a red circle", device="cpu")
    for _ in range(2):
        for name in ("clip", "pickscore", "hps", "aesthetic"):
            scores(name, stacked(pictures()), options)
    assert clip.load.cache_info().misses == 3


@pytest.mark.parametrize("text, words", [("A red circles, Blue", [6, 8, 7, 5, 9, 11]), ("red " * 60, [8] * 33)])
def test_image_reward(folder: Path, text: str, words: list[int]) -> None:
    images, model = pictures((70, 48)), published.Reward(len(BERT)).eval()
    model.load_state_dict(torch.load(folder / "imagereward" / "ImageReward.pt", weights_only=True))
    with torch.no_grad():
        wanted = model(processed(images), [2, *words, 3]).double()
    options = LossOptions(loss_objectives={"imagereward": 1.0}, scorers=str(folder), score_text=text, device="cpu")
    found = scores("imagereward", stacked(images), options)
    assert torch.allclose(found, wanted, atol=1e-4) and found.std() > 1e-4
    result = score_batch(images, batch_targets(images[:1]), None, options)
    assert [fit for fit, _ in result.per_image] == pytest.approx((5 - found).tolist(), abs=1e-5)


@pytest.mark.parametrize("name", ["hps", "imagereward"])
def test_a_file_that_lacks_a_weight_says_which(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder / name, tmp_path / name)
    (path,) = (tmp_path / name).glob("*.pt")
    whole = torch.load(path, weights_only=True)
    weights = whole.get("state_dict", whole)
    del weights[next(key for key in weights if key.endswith((".1.ln_2.bias", ".1.crossattention.self.key.bias")))]
    torch.save(whole, path)
    with pytest.raises(OptionError, match=r"cannot be used .*(layer_norm2\.bias|crossattention\.self\.key\.bias)"):
        scores(name, stacked(pictures()[:1]), LossOptions(scorers=str(tmp_path), device="cpu"))


@pytest.mark.parametrize("name", SCORERS)
def test_what_is_missing_or_damaged_is_named(folder: Path, tmp_path: Path, name: str) -> None:
    image = stacked(pictures()[:1])
    with pytest.raises(OptionError, match="without a folder of scorers"):
        scores(name, image, LossOptions())
    with pytest.raises(OptionError, match=r"until there is .*(config\.json|\.pt)"):
        scores(name, image, LossOptions(scorers=str(tmp_path)))
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    for part in ("aesthetic.pth", f"hps/{HPS}", "imagereward/ImageReward.pt"):
        (broken / part).write_bytes(b"cos\nsystem\n(S'echo'\ntR.")
    for part in ("clip", "pickscore"):
        (broken / part / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(OptionError, match="cannot be used"):
        scores(name, image, LossOptions(scorers=str(broken)))
    (broken / "aesthetic.pth").unlink()
    with pytest.raises(OptionError, match=r"aesthetic\.safetensors or .*aesthetic\.pth"):
        scores("aesthetic", image, LossOptions(scorers=str(broken)))


def test_one_that_prefers_noise_is_refused_before_a_folder_is_made_and_another_one_pins(
    folder: Path, tmp_path: Path
) -> None:
    """Turned round, a scorer that is fine is one that is not."""
    values = {"prompt": "a (red:1.3) circle", "loss_objectives": ("clip",), "scorers": str(folder), "generations": 1}
    config = RunConfig(**values, steps=1, batch_size=2, lambda_=3, finalists=0, held_out=0, plots=False, gifs=False)
    assert loss_options(config).score_text == plain("a (red:1.3) circle") == "a red circle"
    image = Painter()._paint(pin.make_plan(config, Painter()).space.recipe([1.0, 1.3, 1.0]), config.seed)
    stack = stacked(np.stack([image]))
    own = scores("clip", stack, loss_options(config))
    ways = list[bool]()
    for sign in (1, -1):
        place = tmp_path / str(sign)
        shutil.copytree(folder, place)
        loaded = load_file(place / "clip" / "model.safetensors")
        vision, text = loaded["visual_projection.weight"], loaded["text_projection.weight"]
        toward = clip.load(folder / "clip", torch.device("cpu")).images(stack)[0]
        # a text that lies where this very image does, or opposite: all texts end there
        pooled = clip.load(folder / "clip", torch.device("cpu"))._model.text_model(
            input_ids=torch.tensor([[49406, *Vocabulary().tokens(["a red circle"])[0], 49407]])
        ).pooler_output[0].detach()  # fmt: skip
        loaded["text_projection.weight"] = sign * torch.outer(toward, pooled) / pooled.norm() ** 2
        assert vision.shape == text.shape
        save_file(loaded, place / "clip" / "model.safetensors", {"format": "pt"})
        changed = RunConfig.from_dict({**config.to_dict(), "scorers": str(place)})
        try:
            list(pin.start(changed, Painter(), Runs(tmp_path / f"runs{sign}")))
            ways.append(True)
        except OptionError as error:
            assert "noise" in str(error) and "grey" in str(error) and "(it gave the image -1, noise" in str(error)
            ways.append(False)
    assert ways == [True, False] and not (tmp_path / "runs-1").exists() and own.numel() == 1
    record = Runs(tmp_path / "runs1").find("0").record()
    assert record.state == "finished" and len({c.loss for c in record.candidates}) == len(record.candidates)
    with pytest.raises(OptionError, match="it gave the image"):
        tried(np.full((16, 16, 3), 128, np.uint8), loss_options(config))


def test_the_command_lists_them(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from prompt_pins.cli.main import main

    monkeypatch.setenv("COLUMNS", "400")
    for place, first in ((folder, "ok"), (tmp_path, "NO")):
        monkeypatch.setattr("sys.argv", ["prompt-pins", "scorers", str(place)])
        with pytest.raises(SystemExit) as ended:
            main()
        lines = capsys.readouterr().out.splitlines()
        assert ended.value.code == 0 and [line.split()[0] for line in lines] == [*[first] * len(SCORERS), "NO"]
        assert all(str(place) in line for line in lines)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a (red:1.3) [blue] (circle:0.8~1.2), <lora:x:1> BREAK cat", "a red blue circle, cat"),
        ("(very \\(odd\\):0.5)", "very (odd)"),
        ("(a:=1.1) b", "a b"), ("plain", "plain"),
    ],
)  # fmt: skip
def test_a_prompt_as_one_would_tell_it(text: str, wanted: str) -> None:
    assert plain(text) == wanted


def test_a_folder_says_its_own_colours(folder: Path) -> None:
    assert json.loads((folder / "pickscore" / "preprocessor_config.json").read_text())["image_std"] == [1, 2, 3]
    model = clip.load(folder / "pickscore", torch.device("cpu"))
    assert model._std.flatten().tolist() == [1, 2, 3] and model.side == 32
