"""The runs as the tab and the routes show them."""

from __future__ import annotations

import html.parser
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.errors import OptionError, PinError, StoreError
from prompt_pins.report.summary import summarised
from prompt_pins.store import Candidate, Generation, RunFolder, Runs, replay, to_json
from prompt_pins.webui.library import Library, TabRuns, tab_of
from prompt_pins.webui.table import report, table

MARKUP = "<img src=x onerror=alert(1)> & 'quotes' \"double\""


def make_run(root: Path, day: int, prompt: str, loss: float, state: str = "finished") -> RunFolder:
    """A run with one candidate, as its journal tells it."""
    folder = Runs(root).claim()
    with_id = Candidate(1, 0, "a" * 16, (1.0,), prompt, "", loss, loss, 0.0, "00000001/x", ("00000-1.png",), 8)
    head = {"kind": "run", "version": 1, "config": {"prompt": prompt, "negative_prompt": ""}, "host": {}, "space": {}}
    journal = folder.open()
    journal.append({**head, "plan": {}, "time": f"2026-01-0{day}T00:00:00+00:00"})
    journal.append({"kind": "target", "source": "batch", "images": ["00000000/target <1>.png"]})
    journal.append(to_json(with_id))
    journal.append(to_json(Generation(1, with_id.id, (loss,), {}, {"wall": 2.0 * day})))
    journal.append({"kind": state, "reason": MARKUP, "time": "2026-01-09T00:00:00+00:00"})
    journal.close()
    folder.close()
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Two tabs with three runs."""
    roots = {"txt2img": tmp_path / "t" / "prompt_pins", "img2img": tmp_path / "i" / "prompt_pins"}
    make_run(roots["txt2img"], 1, "a red circle", 0.5)
    make_run(roots["txt2img"], 2, f"a blue square {MARKUP}", 0.2, "stopped")
    make_run(roots["img2img"], 3, "a green circle", 0.3)
    return Library(roots)


def names(runs: list[dict[str, Any]]) -> list[str]:
    """Tab and number of each."""
    return [f"{run['tab'][0]}{int(run['run'])}" for run in runs]


def test_search_state_and_order(library: Library) -> None:
    assert set(names(library.summaries())) == {"t0", "t1", "i0"}
    assert names(library.summaries("circle red")) == ["t0"]
    assert names(library.summaries(state="stopped")) == ["t1"]
    assert names(library.summaries(sort="best loss")) == ["t1", "i0", "t0"]
    assert names(library.summaries(sort="oldest"))[::-1] == names(library.summaries(sort="newest"))


def test_one_folder_for_both_tabs_is_listed_once(library: Library) -> None:
    root = library.roots["txt2img"]
    assert len(Library({"txt2img": root, "img2img": root}).summaries()) == 2


def test_the_numbers_of_a_tab_whose_folder_is_another_one_now(library: Library, tmp_path: Path) -> None:
    roots = {**library.roots, "samples": tmp_path / "s" / "prompt_pins"}
    before, runs = TabRuns(library.roots, "img2img"), TabRuns(roots, "img2img")
    assert before.root == roots["img2img"] and runs.root == roots["samples"]
    assert runs.find("0").path == roots["img2img"] / "00000000"
    assert all(TabRuns(roots, tab).names(library.find(tab, "0")) for tab in library.roots)
    assert (before.claim().path.name, runs.claim().path) == ("00000001", roots["samples"] / "00000002")
    with pytest.raises(StoreError, match=str(roots["samples"])):
        runs.find("7")
    make_run(roots["samples"], 4, "of both tabs", 0.1)  # as a version left it that gave numbers folder by folder
    assert runs.find("0").path == roots["samples"] / "00000000"
    assert not runs.names(library.find("img2img", "0"))
    both = Library(roots)
    assert {f"{run['tab']}/{run['run']}" for run in both.summaries()} == {
        "txt2img/00000000", "txt2img/00000001", "img2img/00000000", "samples/00000000"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "host", "tab"),
    [
        ("samples", {"image_to_image": True}, "img2img"),
        ("txt2img", {"image_to_image": True}, "img2img"),
        ("img2img", {"image_to_image": False}, "txt2img"),
        ("img2img", {}, "img2img"),
        ("samples", {}, "txt2img"),
    ],
)
def test_a_run_says_itself_of_which_tab_it_is(place: str, host: dict[str, Any], tab: str) -> None:
    assert tab_of(place, replay([{"kind": "run", "config": {}, "host": host, "time": ""}])) == tab


def test_the_pace_is_of_the_latest_run_that_has_come_to_rest(library: Library) -> None:
    assert library.pace() == 2.0 * 3 / 8
    make_run(library.roots["txt2img"], 8, "a run that goes on", 0.1, "resumed")
    assert library.pace() == 2.0 * 3 / 8
    assert Library({"txt2img": library.roots["txt2img"] / "nothing"}).pace() is None


def test_a_damaged_run_says_so_and_hides_no_other(library: Library) -> None:
    path = library.find("txt2img", "0").journal_path
    path.write_bytes(b"{broken\n" + path.read_bytes())
    assert {run["state"] for run in library.summaries()} == {"unreadable", "stopped", "finished"}


@pytest.mark.parametrize("path", ["../00000001/journal.jsonl", "/etc/hosts", "", ".", "no.png", "a\0b", "x" * 5000])
def test_no_file_outside_the_run(library: Library, path: str) -> None:
    with pytest.raises(StoreError):
        library.file("txt2img", "0", path)
    assert library.file("txt2img", "0", "journal.jsonl").is_file()


def test_a_link_out_of_the_run_is_not_followed(library: Library, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (library.find("txt2img", "0").path / "link.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(StoreError):
        library.file("txt2img", "0", "link.txt")


@pytest.mark.parametrize(("tab", "name"), [("txt2img", ".."), ("txt2img", "1e3"), ("extras", "0"), ("txt2img", "٣")])
def test_a_name_that_is_none(library: Library, tab: str, name: str) -> None:
    with pytest.raises(PinError):
        library.find(tab, name)


def test_a_run_that_is_written_to_is_not_deleted(library: Library) -> None:
    folder = library.find("txt2img", "0")
    journal = folder.open()
    with pytest.raises(StoreError, match="writing"):
        library.delete("txt2img", "0")
    journal.close()
    folder.close()
    library.delete("txt2img", "0")
    assert names(library.summaries()) == ["i0", "t1"]
    with pytest.raises(OptionError):
        library.delete("nowhere", "0")


class Tags(html.parser.HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_table_shows_markup_as_text(library: Library) -> None:
    page = Tags()
    page.feed(table(library.summaries()))
    images = [attributes for tag, attributes in page.seen if tag == "img"]
    assert len(images) == 3 and all("onerror" not in attributes for attributes in images)
    assert images[0]["src"] is not None and images[0]["src"].endswith("/00000000/target%20%3C1%3E.png")
    rows = [attributes["data-run"] for tag, attributes in page.seen if tag == "tr" and "data-run" in attributes]
    assert sorted(filter(None, rows)) == ["img2img/00000000", "txt2img/00000000", "txt2img/00000001"]


def test_reports_side_by_side() -> None:
    page = Tags()
    page.feed(report([("txt2img", "00000001"), ("img2img", "00000002")]))
    frames = [attributes["src"] for tag, attributes in page.seen if tag == "iframe"]
    assert frames == [
        "prompt-pins/v1/runs/txt2img/00000001/index.html",
        "prompt-pins/v1/runs/img2img/00000002/index.html",
    ]


def test_a_run_that_nobody_writes_to_is_interrupted(library: Library) -> None:
    """Also where its own `run.json` says that it goes on, as a killed process left it."""
    folder = make_run(library.roots["txt2img"], 4, "a killed run", 0.1, "resumed")
    report = {**summarised(folder), "state": "running"}
    folder.save_json("run.json", report)
    assert [run["run"] for run in library.summaries(state="interrupted")] == [folder.path.name]
    with folder.open():
        assert [run["run"] for run in library.summaries(state="running")] == [folder.path.name]
    folder.close()


@pytest.mark.parametrize("content", ["folder", "loop", "number", "nested", "lies"])
def test_a_run_that_cannot_be_read_hides_no_other(library: Library, content: str) -> None:
    """And none of them takes down the list, the page of all runs or the search for the latest one."""
    root = library.roots["txt2img"]
    folder = make_run(root, 9, "a bad run", 0.4)
    if content in ("folder", "loop"):
        folder.journal_path.unlink()
        folder.journal_path.mkdir() if content == "folder" else folder.journal_path.symlink_to(folder.journal_path)
    elif content == "number":
        data = folder.journal_path.read_bytes()
        folder.journal_path.write_bytes(data.replace(b'"generation":1', b'"generation":1e308'))
    else:
        fault = "[" * 900 + "]" * 900 if content == "nested" else '{"seconds": "x"}'
        text = f'{{"version": 1, "state": "finished", "held": {fault}, "evaluations": 1, "seconds": 1e999}}'
        (folder.path / "run.json").write_text(text)
    found = {run["run"]: run for run in library.summaries() if run["tab"] == "txt2img"}
    assert set(found) == {"00000000", "00000001", "00000002"}
    readable = content in ("nested", "lies")
    assert found["00000002"]["state"] == ("finished" if readable else "unreadable")
    assert found["00000002"]["reason"] and table(list(found.values()))
    assert library.pace() == (2.0 * 9 / 8 if readable else 2.0 * 3 / 8)
    assert "00000000" in library.index("txt2img").read_text("utf-8")


def test_pictures_of_a_run_stay_inside_it(library: Library, tmp_path: Path) -> None:
    folder = library.find("txt2img", "0")
    (tmp_path / "t" / "secret").mkdir()
    (tmp_path / "t" / "secret" / "00000-1.png").write_text("secret")
    (folder.path / "00000001").mkdir()
    (folder.path / "00000001" / "x").symlink_to(tmp_path / "t" / "secret")
    summary = summarised(folder)
    assert summary["pinned"]["folder"] == "00000001/x"
    folder.save_json("run.json", {**summary, "pinned": {**summary["pinned"], "folder": "../../secret"}})
    assert not any("secret" in str(run) or run["thumbnails"] for run in library.summaries() if run["tab"] == "txt2img")
