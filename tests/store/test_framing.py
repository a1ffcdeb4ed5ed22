"""Lines of the journal's format version 2: lost, doubled, swapped and damaged ones are named; short writes."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest
from prompt_pins.errors import JournalError, StoreError
from prompt_pins.store import Journal, read_journal

OLD = Path(__file__).parent / "journals"
HEAD: dict[str, Any] = {
    "kind": "run", "version": 2, "config": {}, "host": {}, "space": {}, "plan": {}, "time": "t",
}  # fmt: skip
NOTES = [{"kind": "note", "text": text, "n": 1} for text in ("one", "two", "three")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of version 2 with four lines."""
    with Journal(tmp_path / "journal.jsonl") as journal:
        for record in (HEAD, *NOTES):
            journal.append(record)
    return tmp_path / "journal.jsonl"


def test_each_line_has_its_number_and_checksum(path: Path) -> None:
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["n"] for line in lines] == [1, 2, 3, 4]
    assert all(0 <= line["crc"] < 2**32 for line in lines)
    assert read_journal(path) == [HEAD, *NOTES]


@pytest.mark.parametrize(
    ("order", "named"),
    [((0, 2, 3), 2), ((0, 1, 3), 3), ((0, 1, 1, 2, 3), 3), ((0, 2, 1, 3), 2), ((1, 2, 3), 1), ((0, 1, 2, 3, 0), 5)],
    ids=["lost", "lost before the last", "doubled", "swapped", "no head", "a second head"],
)
def test_lines_out_of_order_are_refused_by_number(path: Path, order: tuple[int, ...], named: int) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[index] for index in order))
    for opening in (read_journal, Journal):
        with pytest.raises(JournalError, match="a line was lost, doubled or moved") as caught:
            opening(path)
        assert caught.value.line == named


def test_every_damaged_byte_is_noticed_in_its_line(path: Path) -> None:
    data = path.read_bytes()
    for place in range(len(data) - 1):
        if data[place : place + 1] == b"\n":
            continue
        for flipped in (1, 0x20):
            path.write_bytes(data[:place] + bytes([data[place] ^ flipped]) + data[place + 1 :])
            with pytest.raises(JournalError) as caught:
                read_journal(path)
            assert caught.value.line == data[:place].count(b"\n") + 1


def test_a_journal_of_version_1_goes_on_in_version_1(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    before = (OLD / "v1-stopped.jsonl").read_bytes()
    path.write_bytes(before)
    with Journal(path) as journal:
        journal.append({"kind": "resumed", "time": "t"})
    assert path.read_bytes() == before + b'{"kind":"resumed","time":"t"}\n'
    assert read_journal(path)[-1] == {"kind": "resumed", "time": "t"}


@pytest.mark.parametrize("first", [0, 1])
def test_lines_of_two_versions_do_not_mix(tmp_path: Path, path: Path, first: int) -> None:
    old = tmp_path / "old.jsonl"
    with Journal(old) as journal:
        journal.append({**HEAD, "version": 1})
        journal.append(NOTES[0])
    both = [found.read_bytes().splitlines(keepends=True) for found in (old, path)]
    path.write_bytes(both[first][0] + both[1 - first][1])
    with pytest.raises(JournalError, match=r"line 2: has (no|a) running number"):
        read_journal(path)


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "1e999", "1" * 400, "[" * 40 + "]" * 40, "[" * 10**5, r'"\ud800"']
)
def test_json_that_is_not_ours(tmp_path: Path, number: str) -> None:
    path = tmp_path / "journal.jsonl"
    head = json.dumps({**HEAD, "version": 1})
    path.write_text(f'{head}\n{{"kind":"note","value":{number}}}\n')
    with pytest.raises(JournalError, match="line 2: is not a"):
        read_journal(path)


class Short:
    """A raw file that takes `room` bytes and then is full."""

    def __init__(self, file: Any, room: int, most: int = 7) -> None:
        self.file, self.room, self.most = file, room, most

    def write(self, data: bytes) -> int:
        """As many bytes as there is room for, `most` at once."""
        if self.room == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written: int = self.file.write(data[: min(self.room, self.most)])
        self.room -= written
        return written

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("room", [0, 1, 20])
def test_a_short_write_leaves_no_torn_record(tmp_path: Path, room: int, version: int) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.append({**HEAD, "version": version})
        whole = journal._file
        journal._file = Short(whole, room)  # type: ignore[assignment]
        with pytest.raises(StoreError, match="No space left"):
            journal.append(NOTES[0], sync=True)
        assert read_journal(path) == journal.records == [{**HEAD, "version": version}]
        journal._file = Short(whole, 10**6)  # type: ignore[assignment]
        journal.append(NOTES[1])
    assert read_journal(path)[1:] == [NOTES[1]]


def test_what_could_not_be_taken_back_is_before_the_next_record(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Journal(path) as journal:
        whole = journal._file
        journal._file = Short(whole, 5)  # type: ignore[assignment]
        with monkeypatch.context() as patch, pytest.raises(StoreError, match="No space left"):
            patch.setattr("os.ftruncate", refuse)
            journal.append(NOTES[0])
        journal._file = whole
        journal.append(NOTES[0])
    assert read_journal(path)[-1] == NOTES[0] and len(read_journal(path)) == 5


def test_a_record_that_the_disk_may_not_have_is_taken_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Journal(path) as journal:
        monkeypatch.setattr("os.fsync", refuse)
        with pytest.raises(StoreError, match="Input/output"):
            journal.append(NOTES[0], sync=True)
        assert len(journal.records) == len(read_journal(path)) == 4
