"""A prompt as a heat of its words: only what is proven is said, and no text is markup."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prompt_pins.report.answer import MOST
from prompt_pins.report.compared import comparison_page, sentences
from prompt_pins.report.heat import heat, kind, picture
from prompt_pins.report.heat import sentences as said

from tests.report.synthetic import HOSTILE
from tests.report.test_pages import Reader


def effect(mean: float, low: float, high: float) -> dict[str, float]:
    return {"mean": mean, "low": low, "high": high}


UP, DOWN, NONE = effect(0.1, 0.05, 0.2), effect(-0.1, -0.2, -0.05), effect(0.0, -0.1, 0.1)


def word(label: str, lowered: Any = NONE, raised: Any = NONE, moves: float = 0.2) -> dict[str, Any]:
    image = effect(moves, moves / 2, moves * 1.5)
    both = (("lowered", lowered), ("raised", raised))
    sides = {name: None if fit is None else {"fit": fit, "image": image} for name, fit in both}
    return {"label": label, "image": image, **sides}


@pytest.mark.parametrize(
    ("lowered", "raised", "moves", "does", "by_likelihood"),
    [
        (UP, NONE, 0.2, "holds", "holds"),
        (UP, UP, 0.2, "holds", "holds"),
        (DOWN, NONE, 0.2, "pulls away", "pulls away"),
        (NONE, UP, 0.2, "pulls away", "pulls away"),
        (None, DOWN, 0.2, "holds", "holds"),
        (NONE, NONE, 0.2, "may drift", "does nothing"),
        (NONE, None, 0.01, "does nothing", "does nothing"),
        (UP, UP, 0.01, "does nothing", "holds"),
    ],
)
def test_what_a_word_does(lowered: Any, raised: Any, moves: float, does: str, by_likelihood: str) -> None:
    row = word("x", lowered, raised, moves)
    assert (kind(row, False), kind(row, True)) == (does, by_likelihood)


def test_sentences_name_every_word_once() -> None:
    rows = [word("red", UP), word("blue", DOWN), *(word(f"w{index}") for index in range(MOST + 3))]
    told = said(rows, False)
    assert [one.kind for one in told] == ["holds", "pulls away", "may drift"]
    assert told[0].text == "“red” holds the image: less of it leads away from the target."
    assert told[2].text.startswith("“w0”, “w1”") and " and 3 more may drift" in told[2].text
    assert "tells nothing" in said([word("x")], True)[0].text and said([], False) == []


def test_words_of_a_phrase_share_its_heat() -> None:
    axes = [{"label": label, "side": "prompt"} for label in ("red", "circle", "on", "top", "negative: bad", "new")]
    rows = [word("red circle", moves=0.4), word("on", UP, moves=0.1), word("negative: bad top", moves=0.2)]
    found = heat(axes, rows, False)
    assert [one.text for one in found] == [axis["label"] for axis in axes]
    assert [one.heat for one in found] == [1.0, 1.0, 0.25, None, 0.5, None]
    assert [one.kind for one in found][:3] == ["may drift", "may drift", "holds"]


@pytest.mark.parametrize("label", ["red", HOSTILE, "x" * 400, "紅い🎨", ""])
def test_the_picture_of_any_word(tmp_path: Path, label: str) -> None:
    rows = [word(label or "-", UP), word("b")] * 20
    path = picture(
        heat([{"label": row["label"]} for row in rows], rows, False), said(rows, False), label, tmp_path / "p.png"
    )
    with Image.open(path) as image:
        assert image.width == 960 and 200 < image.height < 4000 and len(image.getcolors(2**20) or ()) > 2


def test_a_comparison_says_what_is_proven(tmp_path: Path) -> None:
    row = {"side": "prompt", "before": 0.1, "after": 0.2, "lowered": None, "raised": UP, "images": {}, "seeds": 8}
    value = {
        "names": ["00000000", "00000001"], "prompts": [HOSTILE, HOSTILE], "by": "images", "step": 0.5,
        "changes": [{"what": HOSTILE, "before": HOSTILE, "after": "b"}], "alone": [HOSTILE], "fits": [0.1, 0.2],
        "fit": NONE, "one_target": False, "images": [["gone.png"], []],
        "words": [{**row, "label": HOSTILE, "image": UP}, {**row, "label": "b", "image": DOWN},
                  {**row, "label": "c", "image": NONE}],
    }  # fmt: skip
    text = sentences(value)
    assert text[1:] == ["“b” moves the image less now.", "Of the rest no difference is proven (1 word)."]
    page = comparison_page(value, tmp_path, tmp_path)
    assert "<script>alert" not in page and HOSTILE in "".join(Reader(page).text)
    assert "each analysis's own target" in "".join(Reader(page).text)
