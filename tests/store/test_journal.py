"""The journal: whole or torn, damaged, of older formats; and the run folders around it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from prompt_pins.errors import JournalError, MovedError, StoreError
from prompt_pins.store import (
    Candidate,
    Generation,
    Journal,
    Measured,
    Runs,
    Unchanged,
    Wording,
    read_journal,
    replay,
    to_json,
)
from prompt_pins.store.files import check_place, whole_file, write_text
from prompt_pins.store.folder import save_image

OLD = Path(__file__).parent / "journals"
HEAD = {"kind": "run", "version": 1, "config": {}, "host": {}, "space": {}, "plan": {}, "time": "t"}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def write(path: Path, *records: dict) -> None:
    with Journal(path) as journal:
        for record in records:
            journal.append(record)


@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.text(), VALUES), max_size=4))
def test_what_is_appended_is_read_back(tmp_path_factory: pytest.TempPathFactory, values: list[dict]) -> None:
    path = tmp_path_factory.mktemp("run") / "journal.jsonl"
    records = [HEAD, *({**value, "kind": "note"} for value in values)]
    write(path, *records)
    assert read_journal(path) == records


def test_a_torn_last_line_is_dropped_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, HEAD, {"kind": "note", "text": "één"}, {"kind": "note", "text": "two ꟻLIP"})
    data = path.read_bytes()
    whole = data[: data[:-1].rfind(b"\n") + 1]
    for end in range(len(whole), len(data)):
        path.write_bytes(data[:end])
        assert len(read_journal(path)) == 2
        with Journal(path) as journal:
            journal.append({"kind": "note", "text": "again"})
        assert [record.get("text") for record in read_journal(path)] == [None, "één", "again"]
        assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize("damage", [b"{", b"[1]", b"{}", b'{"kind": 3}', b"\xff\xfe", b""])
def test_other_damage_is_named_by_its_line(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, HEAD, {"kind": "note"}, {"kind": "note"})
    lines = path.read_bytes().split(b"\n")
    lines[1] = damage
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(JournalError, match="line 2") as caught:
        read_journal(path)
    assert caught.value.line == 2
    with pytest.raises(JournalError):
        Journal(path)


@pytest.mark.parametrize("head", [{"kind": "note"}, {**HEAD, "version": 99}, {**HEAD, "version": "1"}])
def test_a_journal_of_an_unknown_format_is_refused(tmp_path: Path, head: dict) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps(head) + "\n")
    with pytest.raises(JournalError, match="line 1"):
        read_journal(path)


def test_nan_never_reaches_a_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append(HEAD)
        with pytest.raises(ValueError):
            journal.append({"kind": "note", "loss": float("nan")})
    assert read_journal(path) == [HEAD]


def test_every_frozen_journal_still_opens() -> None:
    paths = sorted(OLD.glob("*.jsonl"))
    assert paths
    for path in paths:
        record = replay(read_journal(path))
        expected = json.loads(path.with_suffix(".json").read_text())
        assert record.state == expected["state"]
        assert len(record.candidates) == expected["candidates"]
        assert record.best is not None
        assert record.best.prompt == expected["best"]


def test_a_candidate_survives_its_journal_line() -> None:
    candidate = Candidate(1, 0, "ab", (1.0, 1.25), "a (b:1.25)", "", 0.5, 0.4, None, "00000001/ab", ("0.png",), 75)
    lines = [HEAD, json.loads(json.dumps({**to_json(candidate), "of a later version": 1}))]
    assert replay(lines).candidates == (candidate,)


@pytest.mark.parametrize(("policy", "weights"), [("fixed", (1.5,)), ("rotated", (1.25,))])
def test_the_best_before_a_contest(policy: str, weights: tuple[float, ...]) -> None:
    """A loss of 0.3 on other images says nothing against 0.4 on these."""

    def scored(generation: int, index: int, weight: float, loss: float) -> dict:
        name = f"{generation}-{index}"
        return to_json(Candidate(generation, index, name, (weight,), "", "", loss, loss, None, "", (), 8))

    state = {"best": [1.25], "mean": [1.2]}
    lines = [
        {**HEAD, "config": {"seed_policy": policy}},
        scored(1, 0, 1.25, 0.5),
        scored(1, 1, 1.5, 0.3),
        scored(2, 0, 1.75, 0.6),
        scored(2, 1, 1.25, 0.4),
        to_json(Generation(2, "2-1", (0.6, 0.4), state)),
    ]
    best = replay(json.loads(json.dumps(line)) for line in lines).best
    assert best is not None and best.weights == weights
    assert (best.generation, best.loss) == ((1, 0.3) if policy == "fixed" else (2, 0.4))


def test_numbers_are_claimed_once_by_many_processes(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from prompt_pins.store import Runs\n"
        "print(*[Runs(Path(sys.argv[1])).claim().path.name for _ in range(20)])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(4)]
    names = [name for worker in workers for name in worker.communicate()[0].split()]
    assert len(names) == len(set(names)) == 80
    assert {path.name for path in tmp_path.iterdir()} == set(names)


def test_only_one_writer_opens_a_run(tmp_path: Path) -> None:
    folder = Runs(tmp_path).claim()
    with folder.open():
        code = (
            "import sys; from pathlib import Path; from prompt_pins.store import RunFolder\n"
            "RunFolder(Path(sys.argv[1])).open()"
        )
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code, str(folder.path)]
        second = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert "another process is writing to this run" in second.stderr
    folder.close()
    with folder.open():
        pass
    folder.close()


def test_what_is_not_a_run_is_said(tmp_path: Path) -> None:
    for name in ("7", str(tmp_path), "nowhere"):
        with pytest.raises(StoreError, match="is not a run"):
            Runs(tmp_path).find(name)


def test_an_unwritable_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Runs(tmp_path / "file" / "prompt_pins").claim()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    with pytest.raises(RuntimeError), whole_file(path) as beside:
        beside.write_text("half")
        raise RuntimeError
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_has_the_users_mode_whoever_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    with whole_file(tmp_path / "a.txt") as beside:
        beside.unlink()
        os.close(os.open(beside, os.O_CREAT, 0o600))
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("name", ["folder", "file/below", "n" * 300])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for attempt in (check_place, lambda path: write_text(path, "words")):
        with pytest.raises(StoreError, match="cannot be written"):
            attempt(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


def test_trying_a_place_leaves_nothing(tmp_path: Path) -> None:
    check_place(tmp_path / "a" / "b" / "c.txt")
    assert not list(tmp_path.iterdir())


class Full:
    """A file on a disk that has room for `room` bytes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def write(self, data: bytes) -> int:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        part = data[: self.room]
        self.room -= len(part)
        return self.file.write(part)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_a_full_disk_never_tears_a_journal(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.append(HEAD)
        journal._file = Full(journal._file, 5)
        with pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"):
            journal.append({"kind": "stopped", "reason": "a long one", "time": "t"})
        journal._file.room = 1000
        journal.append({"kind": "stopped", "reason": "full", "time": "t"})
    assert [line["kind"] for line in read_journal(tmp_path / "journal.jsonl")] == ["run", "stopped"]


def test_a_full_disk_is_a_sentence_where_a_file_is_written(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match=r"a\.png: cannot be written \(No space left on device\)"),
        whole_file(tmp_path / "a.png"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_an_image_of_a_very_long_prompt_is_kept(tmp_path: Path, name: str) -> None:
    text = "cat 🐈 " * 9000 + "\nSteps: 20, Seed: 1"
    save_image(tmp_path / name, np.zeros((16, 16, 3), np.uint8), text)
    with Image.open(tmp_path / name) as read:
        comment = read.getexif().get_ifd(0x8769).get(0x9286, b"")
        found = read.info.get("parameters") or comment.removeprefix(b"UNICODE\0").decode("utf-16-be")
    assert found.startswith("cat 🐈 cat") and found.endswith("\nSteps: 20, Seed: 1")
    assert (found == text) == (name != "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_an_image_keeps_its_pixels_and_infotext(tmp_path: Path, name: str) -> None:
    image = np.full((16, 24, 3), (200, 30, 60), np.uint8)
    text = "a ꟻ prompt\nSteps: 20"
    save_image(tmp_path / name, image, text)
    with Image.open(tmp_path / name) as read:
        found = np.asarray(read.convert("RGB")).astype(int)
        comment = read.getexif().get_ifd(0x8769).get(0x9286, b"")
        parameters = read.info.get("parameters")
    assert np.abs(found - image).max() <= (0 if name == "a.png" else 4)
    assert parameters == text if name == "a.png" else comment == b"UNICODE\0" + text.encode("utf-16-be")


def failing(index: int, generation: int = 1, loss: float | None = None) -> dict[str, Any]:
    return to_json(Candidate(generation, index, f"{generation}.{index}", (1.0,), "a", "", loss, loss, None, "", (), 0))


def test_a_run_that_goes_on_may_do_failed_candidates_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = Generation(1, "1.0", (0.5, None), {}, {})
    again = {"kind": "resumed", "kept": 1}
    write(path, HEAD, failing(0, loss=0.5), failing(1), to_json(first), failing(0, 2), again, failing(1, loss=0.25))
    record = replay(read_journal(path))
    assert [(c.generation, c.index, c.loss) for c in record.candidates] == [(1, 0, 0.5), (1, 1, 0.25)]
    assert record.generations == ()
    write(path, {"kind": "resumed", "kept": 2}, {"kind": "resumed"})
    assert len(replay(read_journal(path)).candidates) == 2


@pytest.mark.parametrize("kept", [0, 3, -1, None, "1", True, 1.5])
def test_no_scored_candidate_is_done_again(tmp_path: Path, kept: Any) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, HEAD, failing(0, loss=0.5), failing(1), {"kind": "resumed", "kept": kept})
    with pytest.raises(JournalError, match=r"line 4: is no resumed record: kept is .*; allowed: "):
        read_journal(path)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file stays where it is")
@pytest.mark.parametrize("what", ["file removed", "folder renamed", "another in its place", "folder above renamed"])
def test_a_journal_that_goes_away_is_not_written_to_any_more(tmp_path: Path, what: str) -> None:
    folder = Runs(tmp_path / "runs").claim()
    with folder.open() as journal:
        for record in (HEAD, failing(0, loss=0.5)):
            journal.append(record)
        assert not folder.moved
        if what == "file removed":
            folder.journal_path.unlink()
        elif what == "another in its place":
            (tmp_path / "other").write_bytes(folder.journal_path.read_bytes())
            os.replace(tmp_path / "other", folder.journal_path)
        else:
            os.rename(folder.path if what == "folder renamed" else tmp_path / "runs", tmp_path / "elsewhere")
        assert folder.moved
        with pytest.raises(MovedError, match="was removed or renamed while the run wrote to it") as caught:
            journal.append(failing(1))
        with pytest.raises(MovedError):
            folder.save_images(folder.path / "a", np.zeros((1, 8, 8, 3), np.uint8), ["a.png"], [""])
    folder.close()
    assert len(journal.records) == len(caught.value.record.candidates) + 1 == 2
    assert not (folder.path / "a").exists() and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, ""),
        ({"images": ["a.png"]}, "fits has not one value for each of at least 3 images"),
        ({"fits": [0.1, 0.2]}, "fits has not one value"),
        ({"fit": "x"}, "fit is"),
    ],
)
def test_the_words_of_a_run_are_read_back_or_their_fault_is_named(tmp_path: Path, change: dict, fault: str) -> None:
    unchanged = Unchanged(0.5, 0.2, (0.4, 0.5, 0.6), (), 60)
    word = Measured("red", "prompt", 1.2, 60, Wording(0.7, "a", "", *[(0.1, 0.2, 0.3)] * 3))
    path = tmp_path / "journal.jsonl"
    write(path, HEAD, {**to_json(unchanged), **change}, to_json(word))
    if fault:
        with pytest.raises(JournalError, match="line 2.* is no unchanged record: " + fault):
            read_journal(path)
    else:
        record = replay(read_journal(path))
        assert (record.unchanged, record.words) == (unchanged, (word,))


def test_a_line_of_a_kind_that_is_no_more_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, HEAD, {"kind": "weighed", "seeds": 8, "axis": 0, "before": 1.2, "value": 0.7, "fit": [0.1, 0.0, 0.2]})
    assert not replay(read_journal(path)).words
