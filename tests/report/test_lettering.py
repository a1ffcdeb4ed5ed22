"""Words of any script in plots: with a font that has them, else their number; never a box and a warning."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from prompt_pins.report import lettering, plots
from prompt_pins.store import Axis, Generation

STRANGE = ["红い猫", "кошка", "👩\u200d🎨", "a\tb\x07", "\U0010fffd", "cat"]


def test_no_label_is_a_box(tmp_path: Path) -> None:
    state = {"mean": [1.0 + place / 10 for place in range(6)], "std": [0.1] * 6, "step_size": 0.1, "axis_ratio": 1.0}
    later = {**state, "mean": [0.5 + place / 5 for place in range(6)]}
    generations = [Generation(1, None, (0.1, 0.2), state), Generation(2, None, (0.1, 0.2), later)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.draw_search(tmp_path / "cma_plot.png", generations, [Axis(label, 1.0, 0.0, 2.0) for label in STRANGE])
    assert (tmp_path / "cma_plot.png").is_file()


def test_a_word_keeps_its_text_where_a_font_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plots._readable("cat", 0) == ("cat", [lettering.OWN])
    assert plots._readable("кошка", 0)[0] == "кошка"
    assert plots._readable("\U0010fffd", 6) == ("word 7", [lettering.OWN])
    characters = {lettering.OWN: frozenset(range(127)), "Some CJK": frozenset(range(0x3000, 0xA000))}
    monkeypatch.setattr(lettering, "_others", lambda: ("Some CJK",))
    monkeypatch.setattr(lettering, "_characters", lambda family: characters[family])
    assert plots._readable("红 cat", 2) == ("红 cat", [lettering.OWN, "Some CJK"])


@pytest.mark.parametrize("first", ["normal", "oblique", "italic"])
def test_pictures_have_upright_letters_whichever_font_is_listed_first(
    monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    from matplotlib import font_manager

    listed = sorted(font_manager.fontManager.ttflist, key=lambda font: (font.style == first, font.weight))
    for order in (listed, listed[::-1]):
        monkeypatch.setattr(font_manager.fontManager, "ttflist", order)
        lettering._regular.cache_clear()
        (path, characters), *_ = lettering.font_files("cat")
        chosen = font_manager.get_font(path)
        assert (chosen.family_name, chosen.style_name) == (lettering.OWN, "Book") and ord("c") in characters
    lettering._regular.cache_clear()
