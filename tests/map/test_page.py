"""The map's page in a real Chromium, by keyboard.  Skipped where playwright or Chromium is missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from prompt_pins.map import work
from prompt_pins.report import build_map

from tests.map.test_map import begin
from tests.report.test_browser import opened


@pytest.mark.parametrize(("width", "theme"), [(390, "dark"), (1600, "light")])
def test_the_page_works_by_keyboard_at_any_width(tmp_path: Path, browser: Any, width: int, theme: str) -> None:
    folder = begin(tmp_path, count=40)
    found = work.drawn(folder)
    with opened(browser, build_map(folder.path).as_uri(), width, theme) as (page, asked):
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        first = page.locator(".tile").first
        first.focus()
        assert page.locator("#who").text_content().startswith("The original")
        page.keyboard.press("ArrowRight" if found.places[0].x < 0 else "ArrowLeft")
        number = int(page.locator("#who").text_content().split()[1].rstrip(","))
        assert page.locator("#its-prompt").text_content() == found.places[number].prompt
        page.wait_for_function("[...document.querySelectorAll('#images img')].every(i => i.complete && i.naturalWidth)")
        assert page.locator("#images img").count() == 3
        before = first.bounding_box()
        page.keyboard.press("+")
        assert first.bounding_box() != before
        page.keyboard.press("Escape")
        assert first.bounding_box() == before
        page.locator("#cluster-2 summary").first.click()
        assert page.locator("#keep-2").text_content() == found.clusters[1].ranges[-1].prompt
        page.locator("#cluster-2 input[type=range]").press("Home")
        assert page.locator("#keep-2").text_content() == found.clusters[1].ranges[0].prompt
        assert all(address.startswith((folder.path.as_uri(), "data:")) for address in asked)
