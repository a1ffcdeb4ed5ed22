"""A journal with one fault opens, or says so in a sentence: nothing else escapes."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_pins.errors import JournalError, PinError
from prompt_pins.store import Journal, RunFolder, read_journal

from tests.store.mutations import mutated

OLD = Path(__file__).parent / "journals"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("name", ["v1-finished", "v1-stopped"])
def test_it_opens_or_says_why_not(tmp_path: Path, name: str, version: int) -> None:
    records = read_journal(OLD / f"{name}.jsonl")
    folder, refused = RunFolder(tmp_path / "00000000"), 0
    folder.path.mkdir()
    for data in mutated(records, version, 300):
        folder.journal_path.write_bytes(data)
        try:
            record = folder.record()
            assert record.best is None or record.best.prompt is not None
            with Journal(folder.journal_path) as journal:
                journal.append({"kind": "resumed", "time": "t"})
            assert folder.record().candidates == record.candidates
        except PinError as error:
            refused += 1
            assert "\n" not in str(error)
            assert isinstance(error, JournalError) or "is empty" in str(error)
    assert 50 < refused < 300


@pytest.mark.parametrize(
    ("kind", "change", "said"),
    [
        ("run", {"host": None}, "line 1: is no run record: host is None; allowed: an object"),
        ("target", {"images": ["/etc/x.png"]}, "line 2: is no target record: images[0] is '/etc/x.png'"),
        ("candidate", {"weights": [1.0]}, "line 5: is no candidate record: weights has 1 values, 9 in the"),
        ("candidate", {"generation": 1e308}, "line 5: is no candidate record: generation is 1e+308; allowed: a whole"),
        ("candidate", {"folder": "../../victim"}, "folder is '../../victim'; allowed: a file or folder inside the run"),
        ("generation", {"state": {"best": ["x"]}}, "state.best[0] is 'x'; allowed: a number"),
        ("choice", {"chosen": "nobody"}, "chosen is 'nobody', and no candidate before has that id and a loss"),
        ("choice", {"fits": [[0.5]]}, "fits has 1 rows for 5 contestants"),
        ("held", {"fits_pinned": [0.5]}, "fits_original and fits_pinned have not one value for each seed"),
    ],
)
def test_the_sentence_names_line_field_and_value(tmp_path: Path, kind: str, change: dict, said: str) -> None:
    records = read_journal(OLD / "v1-finished.jsonl")
    index = [index for index, record in enumerate(records) if record["kind"] == kind][-1 if kind != "candidate" else 1]
    records[index] = {**records[index], **change}
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for record in records:
            journal.append(record)
    with pytest.raises(JournalError) as caught:
        read_journal(path)
    assert said in str(caught.value) and caught.value.line == index + 1
