"""Whatever comes in ends in an answer or in a `PinError`: a few cases of each here, many in `make fuzz`."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from prompt_pins.cli.arguments import merged
from prompt_pins.cli.serve import find
from prompt_pins.config import RunConfig
from prompt_pins.errors import PinError
from prompt_pins.loss import load_target
from prompt_pins.options import declarations
from prompt_pins.prompt import parse, render
from prompt_pins.prompt.units import units
from prompt_pins.report.summary import summary
from prompt_pins.store import read_journal, replay
from prompt_pins.webui.arguments import read_arguments, stored_images
from prompt_pins.webui.declared import shown
from prompt_pins.webui.library import Library

from tests.prompt.prompt_cases import hostile, likely

JOURNALS = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "store" / "journals").glob("*.jsonl"))]
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
names = st.sampled_from([*declarations(RunConfig), *(option.name for option in shown())]) | st.text()
options = st.dictionaries(names, values | st.sampled_from(["", "1", "early", "even", "png", -1, 0, 8, 1e9]), max_size=6)
prompts = st.text() | hostile | likely()
refusal = contextlib.suppress(PinError)


@given(prompts, st.booleans())
def test_prompts(text: str, negative: bool) -> None:
    with refusal:
        prompt = parse(text, ("EasyNegative",), negative)
        again = render(prompt, [0.85] * len(units(prompt)))
        assert len(units(parse(again, ("EasyNegative",), negative))) <= len(again)


@given(options)
def test_options(chosen: dict[str, Any]) -> None:
    with refusal:
        config = RunConfig.from_dict({"prompt": "a cat", **chosen})
        assert RunConfig.from_record(json.loads(json.dumps(config.to_dict()))) == config


@given(st.lists(st.tuples(names, values)), st.binary())
def test_toml(pairs: list[tuple[str, Any]], rest: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, refusal:
        path = Path(folder, "pin.toml")
        lines = [f"{name} = {json.dumps(value)}" for name, value in pairs]
        path.write_bytes("\n".join(lines).encode("utf-8", "replace") + rest)
        merged("a cat", path, {})


def place(record: Any, choose: Random) -> tuple[Any, Any]:
    """A container somewhere inside a record, and the name or number of one of its values."""
    keys = list(record) if isinstance(record, dict) else list(range(len(record)))
    key = choose.choice(keys)
    inner = record[key]
    return (
        place(inner, choose) if isinstance(inner, (dict, list)) and inner and choose.random() < 0.7 else (record, key)
    )


numbers = st.sampled_from(range(len(JOURNALS)))


def read(data: bytes) -> list[dict[str, Any]]:
    """A journal of these bytes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "journal.jsonl")
        path.write_bytes(data)
        return read_journal(path)


@given(numbers, st.integers(0), st.binary(max_size=4), st.integers(0))
def test_damaged_journals(number: int, at: int, other: bytes, end: int) -> None:
    """Bytes of a line, and all from somewhere on, are lost."""
    journal = JOURNALS[number]
    at, end = at % len(journal), len(journal) - end % 200
    with refusal:
        read((journal[:at] + other + journal[at + len(other) :])[:end])
    assert read(journal[:end]) == read(journal)[: journal[:end].count(b"\n")]


@given(numbers, st.integers(0, 2**32), st.lists(values, min_size=1, max_size=3))
def test_journals_of_strangers(number: int, seed: int, others: list[Any]) -> None:
    """A real journal with other values in places, and perhaps without a line."""
    choose = Random(seed)
    records = [json.loads(line) for line in JOURNALS[number].splitlines()]
    for value in others:
        container, key = place(choose.choice(records), choose)
        container[key] = value
    if choose.random() < 0.3:
        del records[choose.randrange(len(records))]
    with refusal:
        record = replay(read("".join(json.dumps(record) + "\n" for record in records).encode()))
        json.dumps(summary("00000000", record))


def picture(kind: str) -> bytes:
    """A small image file."""
    data = io.BytesIO()
    Image.fromarray(np.arange(12 * 10 * 3, dtype=np.uint8).reshape(12, 10, 3)).save(data, format=kind)
    return data.getvalue()


PICTURES = {kind: picture(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")}
edits = st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=8)), max_size=6)


def damaged(kind: str, changes: list[tuple[int, bytes]], end: int) -> bytes:
    """An image file with other bytes in places and its end cut off."""
    data = bytearray(PICTURES[kind])
    for at, other in changes:
        data[at % len(data) : at % len(data) + len(other)] = other
    return bytes(data[: len(data) - end])


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what is damaged
@given(st.sampled_from(sorted(PICTURES)), edits, st.integers(0, 40))
def test_images(kind: str, changes: list[tuple[int, bytes]], end: int) -> None:
    with refusal:
        pixels = load_target(damaged(kind, changes, end)).pixels
        assert pixels.dtype == np.uint8 and pixels.shape[2] == 3


@given(st.lists(values) | options.map(lambda given: [given]) | options.map(lambda given: [json.dumps(given)]))
def test_api_arguments(arguments: list[Any]) -> None:
    with refusal:
        read_arguments(arguments)


@pytest.mark.filterwarnings("ignore::UserWarning")
@given(values | st.sampled_from(sorted(PICTURES)).flatmap(lambda kind: edits.map(lambda e: damaged(kind, e, 0))))
def test_api_images(image: Any) -> None:
    text = base64.b64encode(image).decode() if isinstance(image, bytes) else image
    with tempfile.TemporaryDirectory() as folder, refusal:
        for path in stored_images("target", text, Path(folder)):
            assert Path(path).is_relative_to(folder) and Path(path).is_file()


pieces = st.sampled_from(
    ["..", ".", "/", "//", "%2e%2e", "%2f", "\\", "~", "\0", "00000000", "index.html", "link", "?", "#"]
)
addresses = st.lists(pieces | st.text(max_size=4), max_size=8).map("/".join) | st.text()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run, beside a file and behind a link that nobody may see."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "index.html").write_text("secret")
    root = outside / "prompt_pins"
    (root / "00000000").mkdir(parents=True)
    (root / "00000000" / "index.html").write_text("shown")
    (root / "00000000" / "journal.jsonl").write_bytes(JOURNALS[0])
    (root / "00000000" / "link").symlink_to(outside)
    return root


@given(address=addresses)
def test_routes(runs: Path, address: str) -> None:
    found = find(runs, "/" + address)
    assert found is None or found.is_relative_to(runs.resolve())
    tab, _, rest = address.partition("/")
    name, _, path = rest.partition("/")
    library = Library({"txt2img": runs})
    for places in ((tab, name, path), ("txt2img", "0", address)):
        with refusal:
            assert library.file(*places).is_relative_to(runs.resolve())
