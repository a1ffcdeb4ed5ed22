"""Pages of whole runs: everything is text, nothing is requested from outside, what is missing is said."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from prompt_pins import report
from prompt_pins.report.artist import Artist
from prompt_pins.report.gif import LIMIT
from prompt_pins.store import RunFolder, to_json
from prompt_pins.store.journal import read_journal

from tests.report.synthetic import HOSTILE, Shape, SyntheticRun
from tests.store.mutations import rewrite

SHAPE = Shape(generations=3, population=3, batch=3, size=32, held=2, objectives=2)
VOID = {"meta", "link", "img", "br", "input", "line"}


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID and tag not in ("li", "p", "dt", "dd"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("li", "p", "dt", "dd"):
            assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs") / "00000007"
    report.build(SyntheticRun(root, SHAPE).write())
    return root


def pages(root: Path) -> list[Path]:
    return sorted(root.rglob("*.html"))


def test_every_file_of_the_layout_is_there(built: Path) -> None:
    names = {str(path.relative_to(built)) for path in built.rglob("*")}
    assert {"index.html", "run.json", "cma_plot.png", "cma_mo_plot.png", "evolution.gif", "best.gif"} <= names
    assert {"final_summary.gif", "00000001/index.html", "00000001/best.gif"} <= names
    for number in (1, 2, 3):
        assert f"{number:08d}/generation_loss_plot.png" in names
    done = [c for c in RunFolder(built).record().candidates if c.loss is not None]
    assert len(done) == 8
    for candidate in done:
        for name in ("index.html", "loss_plot.png", "summary.gif"):
            assert f"{candidate.folder}/{name}" in names
    assert not [name for name in names if Path(name).name.startswith(".")]


def test_hostile_text_is_text_everywhere(built: Path) -> None:
    for path in [*pages(built), built / "data.js"]:
        text = path.read_text("utf-8")
        assert "<script>alert" not in text and '</table>"' not in text
        if path.suffix == ".html":
            reader = Reader(text)
            assert not [tag for tag, attributes in reader.tags if any(name.startswith("on") for name in attributes)]
    assert HOSTILE in "".join(Reader((built / "index.html").read_text("utf-8")).text)


def test_nothing_is_requested_from_outside(built: Path) -> None:
    for path in pages(built):
        for tag, attributes in Reader(path.read_text("utf-8")).tags:
            for name in ("src", "href", "data-src", "poster", "srcset"):
                address = attributes.get(name) or ""
                assert not re.match(r"(https?:)?//", address), (path, tag, address)


def test_every_local_address_exists_and_every_picture_has_a_text(built: Path) -> None:
    for path in pages(built):
        for tag, attributes in Reader(path.read_text("utf-8")).tags:
            if tag == "img":
                assert attributes.get("alt")
            for name in ("src", "href", "data-src"):
                address = (attributes.get(name) or "").split("?")[0]
                if address and not address.startswith(("data:", "#")) and address != "../index.html":
                    assert (path.parent / address).is_file(), (path, address)


def test_data_of_the_page_is_json_and_complete(built: Path) -> None:
    text = (built / "index.html").read_text("utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert len(data["rows"]) == 9 and data["state"] == "finished"
    assert data["series"]["generation"] == [1, 2, 3]
    record = RunFolder(built).record()
    assert data["series"]["best"][0] == pytest.approx(min(x for x in record.generations[0].losses if x), abs=1e-6)
    news = (built / "data.js").read_text("utf-8")
    parsed = json.loads(news[len("pinData(") : -len(");\n")])
    assert parsed["version"] == data["version"] and HOSTILE not in news


def test_the_prompt_is_there_to_copy(built: Path) -> None:
    best = RunFolder(built).record().best
    assert best is not None
    text = "".join(Reader((built / "index.html").read_text("utf-8")).text)
    assert best.prompt in text and best.negative_prompt in text and "prompt-pins pin" in text


def test_run_json(built: Path) -> None:
    value = json.loads((built / "run.json").read_bytes())
    assert value["state"] == "finished" and value["held"]["low"] == 0.36
    assert value["pinned"]["loss"] < value["original"]["loss"]
    assert value["candidates"] == 9 and value["failed"] == 1


def test_gifs_have_their_frames_and_size(built: Path) -> None:
    with Image.open(built / "evolution.gif") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]
    with Image.open(built / "final_summary.gif") as image:
        assert image.n_frames == 3 and image.size[0] == 64  # type: ignore[attr-defined]
    assert (built / "evolution.gif").stat().st_size < LIMIT


def test_generations_of_half_batches_are_frames_of_the_evolution_too(built: Path, tmp_path: Path) -> None:
    folder = RunFolder(shutil.copytree(built, tmp_path / built.name))
    record = folder.record()
    half = [replace(c, images=c.images[: 1 if c.generation == 1 else None]) for c in record.candidates]
    Artist.of(folder, record).run_gifs(replace(record, candidates=tuple(half)))
    with Image.open(folder.path / "evolution.gif") as image:
        assert image.n_frames == 3  # type: ignore[attr-defined]


@pytest.mark.parametrize("kept", ["none", "best"])
def test_missing_images_are_said(tmp_path: Path, kept: str) -> None:
    folder = SyntheticRun(tmp_path / "00000000", SHAPE).write()
    record = folder.record()
    best = {g.best for g in record.generations}
    for candidate in record.candidates:
        if kept == "none" or candidate.id not in best:
            for name in candidate.images:
                (folder.path / candidate.folder / name).unlink(missing_ok=True)
    report.build(folder)
    assert "not kept" in (folder.path / "index.html").read_text("utf-8")
    test_every_local_address_exists_and_every_picture_has_a_text(folder.path)


def test_damaged_images_and_stats_are_survived(tmp_path: Path) -> None:
    folder = SyntheticRun(tmp_path / "00000000", SHAPE).write()
    first, second = folder.record().candidates[:2]
    (folder.path / first.folder / first.images[0]).write_bytes(b"\x89PNG torn")
    (folder.path / second.folder / "batch_stats.json").write_text("[1,", "utf-8")
    report.build(folder)
    test_every_local_address_exists_and_every_picture_has_a_text(folder.path)


def test_gifs_and_plots_can_be_off(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", SHAPE)
    folder = run.write()
    lines = read_journal(folder.journal_path)
    lines[0]["config"] |= {"gifs": False, "plots": False}
    rewrite(folder.journal_path, lines)
    report.build(folder)
    assert not list(folder.path.rglob("*.gif")) and not list(folder.path.rglob("*plot.png"))
    test_every_local_address_exists_and_every_picture_has_a_text(folder.path)


def test_run_that_never_rendered(tmp_path: Path) -> None:
    run = SyntheticRun(tmp_path / "00000000", SHAPE)
    steps = run.events()
    next(steps)
    page = report.build(run.folder).read_text("utf-8")
    assert "No candidate is done yet" in page and Reader(page)


def test_single_image_batches(tmp_path: Path) -> None:
    shape = Shape(generations=2, population=2, batch=1, size=24, negative=(), held=0, failures=False)
    report.build(SyntheticRun(tmp_path / "00000000", shape).write())
    test_every_local_address_exists_and_every_picture_has_a_text(tmp_path / "00000000")


def test_the_contest_names_the_original_and_the_searchs_answers(tmp_path: Path) -> None:
    folder = SyntheticRun(tmp_path / "00000003", SHAPE).write()
    record = folder.record()
    first, second, *_ = record.candidates
    answers = [replace(second, generation=4, index=index, id=f"answer {index}") for index in (0, 1)]
    contestants = (first.id, *(c.id for c in answers), second.id)
    assert record.choice is not None
    choice = replace(record.choice, contestants=contestants, fits=((0.4,), (0.2,), (0.1,), (0.3,)), chosen="answer 1")
    lines = [line for line in read_journal(folder.journal_path) if line["kind"] not in ("choice", "held")]
    end = lines.pop()
    rewrite(folder.journal_path, [*lines, *map(to_json, answers), to_json(choice), end])
    report.build(folder)
    text = " ".join(Reader((folder.path / "index.html").read_text()).text)
    table = text[text.index("The contest that named") : text.index("Generations", text.index("The contest that named"))]
    assert re.findall(r"([\d.]+)\s+· (\w+)", table) == [("4.2", "simplest"), ("4.1", "centre"), ("1.1", "original")]
    assert "Simplest: the smallest change" in table
    SyntheticRun(tmp_path / "00000004", SHAPE).write()
    report.build(RunFolder(tmp_path / "00000004"))
    assert "Simplest" not in (tmp_path / "00000004" / "index.html").read_text().split("Settings, versions")[0]
