"""The page of licences names all that is shipped of others, and all that is installed beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tomllib
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/licences.md").read_text("utf-8")
BESIDE = sorted((ROOT / "lib").rglob("*LICENSE*"))
OTHERS = re.compile(r"copyright (?:\(c\)|©|\d{4})|@license|SPDX-|/\*!", re.IGNORECASE)


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("path", [ROOT / "LICENSE", *BESIDE], ids=lambda path: path.name)
def test_every_licence_is_there_in_full(path: Path) -> None:
    assert words(path.read_text("utf-8")) in words(PAGE)


def test_files_with_a_licence_beside_them_are_named() -> None:
    assert len(BESIDE) >= 2
    for licence in BESIDE:
        name = licence.name.partition(".LICENSE")[0]
        files = [path for path in licence.parent.glob(f"{name}.*") if path != licence]
        assert files
        for path in files:
            assert f"`{path.relative_to(ROOT).as_posix()}`" in PAGE


def test_nothing_else_claims_to_be_of_others() -> None:
    """Code and styles with somebody's copyright in them need their line."""
    for path in sorted((ROOT / "lib").rglob("*")):
        if path.suffix in {".py", ".js", ".css", ".html", ".yaml", ".json"} and OTHERS.search(path.read_text("utf-8")):
            assert f"`{path.relative_to(ROOT).as_posix()}`" in PAGE


def test_every_package_that_is_installed_is_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    named = set(re.findall(r"^\| ([\w-]+)", PAGE.partition("## What is installed")[2], re.MULTILINE))
    assert {Requirement(line).name for line in wanted} == named - {"package", "---"}
