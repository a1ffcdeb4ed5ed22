"""What a WebUI and its list of extensions read of this one before any of its code."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
TAGS = {
    *("script", "localization", "tab", "dropdown", "ads", "installed", "training", "models", "UI related", "prompting"),
    *("editing", "manipulations", "online", "animation", "query", "science", "extras"),
}
"""Of the list, as it is in November 2026."""


def test_metadata_gives_a_name_and_asks_for_no_other_extension() -> None:
    read = configparser.ConfigParser()
    read.read(ROOT / "metadata.ini", encoding="utf-8")
    assert dict(read["Extension"]) == {"name": "prompt-pinning"}  # hosts make it lower case, so it is already


def test_the_entry_for_the_list_has_its_keys_and_tags_that_exist() -> None:
    (block,) = re.findall(
        r"```json\n(\{\n  \"name\".*?\n\})\n```", (ROOT / "docs/webui.md").read_text("utf-8"), re.DOTALL
    )
    entry = json.loads(block)
    assert list(entry) == ["name", "url", "description", "tags"]
    assert len(entry["description"]) < 200 and entry["tags"]
    assert set(entry["tags"]) <= TAGS - {"online", "ads", "installed"}  # nothing is fetched or sent


def test_what_a_webui_looks_for_lies_at_the_root() -> None:
    assert all((ROOT / name).is_file() for name in ("install.py", "style.css", "scripts/prompt_pinning.py"))
    assert list((ROOT / "javascript").glob("*.js"))
