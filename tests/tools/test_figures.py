"""The table of figures: the pages say them, and a drift is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tools.figures import FIGURES, Figure, drifted


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: figure.said)
def test_the_page_says_the_figure(figure: Figure) -> None:
    assert figure.printed()


def test_a_counted_figure_is_as_its_page_says() -> None:
    assert drifted(FIGURES[:1]) == []


def test_drifts_and_passages_that_are_gone_are_found() -> None:
    counted = FIGURES[0]
    wrong = replace(counted, passage="{}", value="160", spread=1.0)
    gone = replace(counted, passage="no page says {}")
    assert [line.startswith("README.md: ") for line in drifted([wrong, gone])] == [True, True]
    assert not replace(wrong, spread=70.0).differs(90.0) and wrong.differs(90.0)
    assert not replace(counted, value="99.7 %", spread=4.0).differs(96.0)
