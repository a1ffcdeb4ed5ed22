"""Textual inversions: loaded, found in prompts, and a weighted prompt baked into one, on the embedded model."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from diffusers.loaders.textual_inversion import TextualInversionLoaderMixin
from prompt_pins.config import RunConfig
from prompt_pins.errors import CheckpointError, OptionError, PromptError
from prompt_pins.headless.bake import Bakery, bake_run, compare, own_checkpoint
from prompt_pins.headless.checkpoint import load
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.inversion import Inversion, Words, extend, load_inversions, save_inversion
from prompt_pins.host import Recipe
from prompt_pins.store import RunFolder
from safetensors.torch import load_file, save_file

from tests.headless.tiny import Tiny

JOB = RunConfig(prompt="x", steps=10, batch_size=8, cfg_scale=5.0, sampler="DPM++ 2M")
PROMPT = "a (red:1.3) (blue:0.6) circle, white background"


@pytest.fixture(scope="module")
def real() -> HeadlessHost:
    return HeadlessHost(device="cpu")


def vectors_of(host: HeadlessHost, text: str) -> torch.Tensor:
    table = host.checkpoint.towers[0].layer.token_embedding
    tokens = host.reader.encoder.chunker.chunks(text)[0].tokens
    return table.weight[torch.tensor(tokens[1 : tokens.index(49407)])].clone()


def test_a_word_of_the_prompts_own_vectors_gives_the_prompts_own_images(real: HeadlessHost) -> None:
    word = Inversion("zqpin", (vectors_of(real, "a red circle"),))
    other = HeadlessHost(device="cpu", embeddings=[word])
    assert other.embeddings() == ("zqpin",) and real.embeddings() == ()
    job = dataclasses.replace(JOB, steps=3)
    plain = real.render(Recipe("a red circle, white background"), [1, 2], job, forked=False).images
    worded = other.render(Recipe("zqpin, white background"), [1, 2], job, forked=False).images
    assert (plain == worded).all()
    weighted = real.render(Recipe("(a red circle:1.3), white background"), [1], job, forked=False).images
    assert (weighted == other.render(Recipe("(zqpin:1.3), white background"), [1], job, False).images).all()


def test_hosts_of_one_model_keep_their_own_words(real: HeadlessHost) -> None:
    job = dataclasses.replace(JOB, steps=2)
    words = [Inversion("zqpin", (vectors_of(real, text),)) for text in ("a red circle", "a green square")]
    hosts = [HeadlessHost(real.checkpoint, "cpu", [word]) for word in words]
    for host, text in zip(hosts, ("a red circle", "a green square")):
        plain = real.render(Recipe(text), [1], job, forked=False).images
        assert (host.render(Recipe("zqpin"), [1], job, forked=False).images == plain).all()


def test_names_are_found_longest_first_and_stay_whole() -> None:
    words = Words([[5], [5, 6]], [2, 3], 100)
    assert words.replace([4, 5, 6, 5]) == [(4,), (102, 103, 104), (100, 101)]
    assert Words((), (), 9).replace([1, 2]) == [(1,), (2,)]


def test_files_are_loaded_and_bad_ones_are_named(
    tmp_path: Path, real: HeadlessHost, caplog: pytest.LogCaptureFixture
) -> None:
    word = Inversion("pin one", (torch.arange(96.0).reshape(2, 48),))
    save_inversion(tmp_path / "pin one.safetensors", word)
    assert list(load_file(tmp_path / "pin one.safetensors")) == ["pin one"]
    (found,) = load_inversions(tmp_path)
    assert found.name == "pin one" and torch.equal(found.vectors[0], word.vectors[0])
    with pytest.raises(CheckpointError, match="48"):
        extend(real.checkpoint.towers, [Inversion("x", (torch.zeros(1, 768),))])
    save_file({"a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "two.safetensors")
    (tmp_path / "._one.safetensors").write_bytes(b"nothing")
    assert [one.name for one in load_inversions(tmp_path)] == ["pin one"]
    (told,) = [record.getMessage() for record in caplog.records]
    assert "._one.safetensors (is damaged" in told and "two.safetensors (holds 2 tensors" in told
    assert load_inversions(tmp_path, (768,)) == () and "has vectors of 48 numbers; this model's have 768" in caplog.text
    with pytest.raises(CheckpointError, match="not a folder"):
        load_inversions(tmp_path / "nowhere")


def test_the_file_is_in_the_layout_of_other_programs(tmp_path: Path) -> None:
    """One tensor: AUTOMATIC1111 takes the only one, diffusers takes its name for the token."""
    save_inversion(tmp_path / "zqpin.safetensors", Inversion("zqpin", (torch.ones(2, 48),)))
    ((name, tensor),) = load_file(tmp_path / "zqpin.safetensors").items()
    tokens, found = TextualInversionLoaderMixin._retrieve_tokens_and_embeddings(
        [None], [{name: tensor}], type("Tokenizer", (), {"get_vocab": lambda self: {}})()
    )
    assert tokens == ["zqpin"] and tuple(found[0].shape) == (2, 48)


def test_baking_brings_the_unet_to_the_weighted_prompts_answers(real: HeadlessHost) -> None:
    job = dataclasses.replace(JOB, steps=4)
    bakery = Bakery(real, Recipe(PROMPT), job)
    baked = bakery.bake(rounds=40)
    assert [part.shape for part in baked.vectors] == [(75, 48)]
    assert 0.0 < baked.gap < 0.2  # 1 is the prompt without its weights
    again = compare(real, Recipe(PROMPT), Recipe("zqpin"), [Inversion("zqpin", baked.vectors)], job)
    assert 0.0 < again[0] <= again[1] < 1.0


@pytest.mark.parametrize("text", ["a red [circle:square:0.5]", "a circle AND a square", "a circle BREAK a square"])
def test_what_no_word_can_stand_for_is_refused(real: HeadlessHost, text: str) -> None:
    with pytest.raises(PromptError, match="one chunk"):
        Bakery(real, Recipe(text), JOB)


def test_the_prompt_that_cannot_be_baked_is_named_before_anything_is_fitted(
    real: HeadlessHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Bakery, "bake", lambda bakery: pytest.fail("it fits"))
    shutil.copy(JOURNAL, tmp_path / "journal.jsonl")
    record = RunFolder(tmp_path).record()
    for negative in ("blurry " * 80, "blurry BREAK dark", "[blurry:dark:0.5]"):
        known = dataclasses.replace(record.exportable(), negative_prompt=negative)
        monkeypatch.setattr(type(record), "exportable", lambda _, known=known: known)
        with pytest.raises(PromptError, match=r"the negative prompt cannot be baked: .*one chunk"):
            bake_run(record, real, tmp_path / "word.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]


def test_a_number_at_the_end_is_a_weight_of_all_and_no_text(real: HeadlessHost) -> None:
    for text in ("a (blue:1.3) circle, 16:9", "a large blue circle :0.5"):
        with pytest.raises(PromptError, match=r"the prompt cannot be baked: the (9|0\.5) at its end is the weight"):
            Bakery(real, Recipe(text), JOB)
        ordinary = Bakery(real, Recipe("a circle", text), JOB, negative=True)
        plain = Bakery(real, Recipe("a circle", text.rpartition(":")[0]), JOB, negative=True)
        assert not torch.equal(ordinary.target.vectors, plain.target.vectors)
    one, bare = (Bakery(real, Recipe(text), JOB) for text in ("a (blue:1.3) circle :1.0", "a (blue:1.3) circle"))
    assert torch.equal(one.target.vectors, bare.target.vectors) and torch.equal(one.ids[0], bare.ids[0])


JOURNAL = Path(__file__).parents[1] / "store" / "journals" / "v1-finished.jsonl"


def test_a_run_of_a_webui_is_baked_with_its_own_checkpoint_and_size(
    tmp_path: Path, real: HeadlessHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(JOURNAL, tmp_path / "journal.jsonl")
    record = RunFolder(tmp_path).record()
    assert own_checkpoint(record) == ""
    elsewhere = dataclasses.replace(
        record,
        host={"name": "webui", "checkpoint": "dreams.safetensors", "size": [64, 72]},
        config={**record.config, "steps": 2},
    )
    with pytest.raises(OptionError, match=r"dreams\.safetensors"):
        own_checkpoint(elsewhere)
    monkeypatch.setattr("prompt_pins.headless.bake.SECONDS", 2.0)
    sizes = []
    compared = compare
    monkeypatch.setattr(
        "prompt_pins.headless.bake.compare", lambda *given: (sizes.append(real.size(given[4])), compared(*given))[1]
    )
    told = bake_run(elsewhere, real, tmp_path / "word.safetensors")
    assert sizes == [(64, 72)] and "as the word word" in told
    assert (tmp_path / "word.safetensors").is_file()


def test_sdxls_words_have_a_vector_for_each_text_encoder(
    tinies: dict[str, Tiny], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    model = load(tinies["sdxl"].file)
    plain = HeadlessHost(model, "cpu")
    ids = plain.reader.encoder.chunker.chunks("a red circle")[0].tokens[1:4]
    rows = [tower.layer.token_embedding.weight[list(ids)].detach().clone() for tower in model.towers]
    save_inversion(tmp_path / "zqpin.safetensors", Inversion("zqpin", tuple(rows)))
    assert sorted(load_file(tmp_path / "zqpin.safetensors")) == ["clip_g", "clip_l"]
    save_file({"one": rows[0]}, tmp_path / "single.safetensors")
    save_file({"clip_l": rows[0], "clip_g": rows[1][:2]}, tmp_path / "uneven.safetensors")
    words = load_inversions(tmp_path, tuple(tower.width for tower in model.towers))
    assert [word.name for word in words] == ["zqpin"]
    assert "single.safetensors (has vectors of 32 numbers; this model's have 32 and 32)" in caplog.text
    assert "uneven.safetensors (holds more vectors for one text encoder" in caplog.text
    job = dataclasses.replace(JOB, steps=2, width=64, height=64)
    worded = HeadlessHost(model, "cpu", words).render(Recipe("(zqpin:1.3), white"), [1], job, False).images
    assert (worded == plain.render(Recipe("(a red circle:1.3), white"), [1], job, False).images).all()


def test_sdxl_is_baked_into_both(tinies: dict[str, Tiny], tmp_path: Path) -> None:
    host = HeadlessHost(load(tinies["sdxl"].file), "cpu")
    job = dataclasses.replace(JOB, steps=3, width=64, height=64)
    prompt = Recipe("a (red:1.3) (blue:0.6) circle, white background")
    baked = Bakery(host, prompt, job).bake(rounds=60)
    assert [part.shape for part in baked.vectors] == [(75, 32), (75, 32)] and 0.0 < baked.gap < 0.8
    mean, most = compare(host, prompt, Recipe("zqpin"), [Inversion("zqpin", baked.vectors)], job)
    assert 0.0 < mean <= most < 1.0
