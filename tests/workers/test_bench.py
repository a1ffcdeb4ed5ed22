"""What an actor holds, without Ray: files that are sent, errors that travel, batches that are scored and packed."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from prompt_pins.config import RunConfig
from prompt_pins.errors import CheckpointError, HostError, OptionError
from prompt_pins.host import Recipe, Request
from prompt_pins.run.rendering import render
from prompt_pins.store.folder import packed, save_image
from prompt_pins.workers.bench import Bench, Opening, fingerprint, read, unpacked

from tests.run.painter import Painter
from tests.workers.rays import FarPainter, opened

CONFIG = RunConfig(prompt="a red circle", steps=1, batch_size=2)
RECIPE = Recipe("a (red:1.2) circle")


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


@pytest.mark.parametrize("there", ["the same", "another one", "missing"])
def test_a_file_that_is_missing_or_another_one_is_sent(there: str, tmp_path: Path) -> None:
    model, known = tmp_path / "model", {"": np.frombuffer(b"the model", np.uint8)}
    if there != "missing":
        model.write_text("the model" if there == "the same" else "changed")
    asked: list[str] = []

    def content(path: str) -> dict[str, np.ndarray]:
        asked.append(path)
        return known

    for _ in range(2):
        opening = Opening(opened, {"model": str(model)})
        bench = Bench(opening, content, lambda path: fingerprint(known))
        told = bench.call("describe").unpacked()
        assert told["checkpoint"] == "the model" and told["folder"] == str(model)
    assert asked == ([] if there == "the same" else [str(model)])


def test_a_folder_is_sent_with_its_files(tmp_path: Path) -> None:
    (tmp_path / "loras" / "deep").mkdir(parents=True)
    (tmp_path / "loras" / "deep" / "one").write_bytes(b"1")
    content = read(str(tmp_path / "loras"))
    assert list(content) == ["deep/one"]

    def open_there(place: str) -> Painter:
        assert (Path(place) / "deep" / "one").read_bytes() == b"1" and not place.startswith("/nowhere")
        return Painter()

    bench = Bench(
        Opening(open_there, {"place": "/nowhere/loras"}), lambda path: content, lambda path: fingerprint(content)
    )
    assert len(bench.call("render", Request(RECIPE, (1, 2), CONFIG, True)).unpacked().files) == 0


@pytest.mark.parametrize("image_format", ["png", "jpg", "webp"])
def test_a_batch_travels_packed_as_its_files_and_keeps_every_bit(image_format: str, tmp_path: Path) -> None:
    pack = functools.partial(packed, image_format)
    request = Request(RECIPE, (1, 2), CONFIG, True, judge=np.mean, pack=pack)
    sent = Bench(Opening(opened)).call("render", request).unpacked()
    assert all(isinstance(data, bytes) for data in (*sent.images, *sent.files)) and len(sent.files) == 2
    batch, alone = unpacked(sent), Painter().render(RECIPE, (1, 2), CONFIG, True)
    assert np.array_equal(batch.images, alone.images) and batch.loss == np.mean(alone.images)
    save_image(tmp_path / f"1.{image_format}", alone.images[1], alone.infotexts[1])
    assert batch.files[1] == (tmp_path / f"1.{image_format}").read_bytes()


def test_errors_travel_with_their_words(tmp_path: Path) -> None:
    turn = tmp_path / "turn"
    turn.write_text("option")
    bench = Bench(Opening(functools.partial(opened, turn=str(turn))))
    request = Request(RECIPE, (1,), CONFIG, True)
    with pytest.raises(OptionError, match=r"^sampler: 'x' is not allowed; allowed: y$"):
        bench.call("render", request).unpacked()
    turn.write_text("memory")
    with pytest.raises(HostError) as far:
        bench.call("render", request).unpacked()
    with pytest.raises(HostError) as near:
        render(FarPainter(turn=str(turn)), RECIPE, (1,), CONFIG, True)
    assert str(far.value) == str(near.value) == "the host could not render: MemoryError: of this machine"
    turn.write_text("no model")
    with pytest.raises(CheckpointError, match="is no model"):
        Bench(Opening(functools.partial(opened, turn=str(turn)))).call("describe").unpacked()
