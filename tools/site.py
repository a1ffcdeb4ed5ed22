"""A hook of MkDocs: README, CHANGELOG and CONTRIBUTING become pages of the site, and links find them there.

`make docs` builds the site; nothing is imported but the standard library and MkDocs itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
SHIM = re.compile(r'<script src="https?://[^"]+/iframe-worker/[^"]*"></script>')
REMOTE = re.compile(r'<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)="((?:https?:)?//[^"]+)"')
WORKER = "site-worker.js"
TARGET = re.compile(r"(?<=\]\()([^)\s]+)(?=\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the three, whose links begin at the repository's root, and the search for pages that are opened as files."""
    for name, page in PAGES.items():
        text = TARGET.sub(lambda found: moved(found[1]), (ROOT / name).read_text("utf-8"))
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, WORKER, content=(ROOT / "tools" / WORKER).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page of docs/ may name the three as its neighbours one folder up."""
    return TARGET.sub(lambda found: moved(found[1].removeprefix("../")) if "../" in found[1] else found[1], markdown)


def on_post_page(output: str, **_: Any) -> str:
    """Nothing may come from a network: the theme would fetch that script there."""
    output = SHIM.sub(f'<script src="{WORKER}"></script>', output)
    if found := REMOTE.search(output):
        raise PluginError(f"a page would fetch {found[1]}")
    return output


def on_post_template(output: str, **_: Any) -> str:
    """The page for links that lead nowhere."""
    return on_post_page(output)


def moved(link: str) -> str:
    """Where a link from the repository's root leads in the site."""
    path, mark, anchor = link.partition("#")
    return PAGES.get(path, path.removeprefix("docs/")) + mark + anchor
