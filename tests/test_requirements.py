"""The lists of pinned packages and those with hashes say the same, and whatever is installed has its hash checked."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LISTS = sorted((ROOT / "requirements").glob("*.txt"))
LINE = re.compile(r"(?P<name>[\w.\-]+)==(?P<version>\S+) \\\n(?P<hashes>(?: {4}--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)")


def pins(path: Path) -> dict[str, str]:
    """Canonical names and versions of a list of pins."""
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    found = [Requirement(line) for line in lines]
    assert all(str(one.specifier).startswith("==") for one in found)
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in found}


@pytest.mark.parametrize("path", LISTS, ids=lambda path: path.stem)
def test_every_pin_but_torch_has_its_hashes(path: Path) -> None:
    text = (path.parent / "hashed" / path.name).read_text("utf-8")
    hashed = {canonicalize_name(found["name"]): found["version"] for found in LINE.finditer(text)}
    assert LINE.sub("", text) == ""
    wanted = pins(path)
    assert wanted.pop("torch", None) == (None if path.stem in ("docs", "release") else "2.13.0")
    assert hashed == wanted, "make lock"


def test_the_makefile_installs_by_hash_only() -> None:
    """torch and the project itself are the only others."""
    text = (ROOT / "Makefile").read_text("utf-8")
    installs = [line for line in text.splitlines() if "pip install" in line]
    others = [line for line in installs if "--require-hashes" not in line]
    assert len(installs) - len(others) == 1
    assert [line.split()[-1] for line in others] == ["torch", "."]
    assert set(re.search(r"^LISTS := (.*)$", text, re.MULTILINE)[1].split()) == {path.stem for path in LISTS}


WITHOUT = {"k-diffusion"}
"""Of these only a part is used, which needs less than they ask for."""


def test_what_is_pinned_needs_nothing_that_is_not() -> None:
    """Else a test that looks for a package would be left out for ever, as it cannot be imported."""
    wanted = pins(ROOT / "requirements" / "dev.txt")
    try:
        found = {name: metadata.distribution(name) for name in wanted}
    except metadata.PackageNotFoundError as error:
        pytest.skip(f"this is another environment: {error} is not installed")
    lacking = {
        f"{name}: {text}"
        for name, one in found.items()
        for text in (one.requires or ())
        if name not in WITHOUT
        for need in [Requirement(text)]
        if (need.marker is None or need.marker.evaluate({"extra": ""})) and canonicalize_name(need.name) not in wanted
    }
    assert not lacking
