"""What README and docs/ name exists: links and their anchors, commands with their options, targets of make, files."""

from __future__ import annotations

import argparse
import importlib
import itertools
import re
import shlex
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import tomllib
import typer
from markdown_it import MarkdownIt
from markdown_it.token import Token
from prompt_pins import __version__
from prompt_pins.cli.arguments import merged
from prompt_pins.cli.main import app
from prompt_pins.report.summary import SUMMARY_VERSION
from prompt_pins.store import FORMAT_VERSION
from prompt_pins.words.compare import VERSION as COMPARISON_VERSION

ROOT = Path(__file__).parents[1]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
MARKDOWN = MarkdownIt("commonmark").enable("table")
PYTHON = re.compile(r"(?:\S*/)?python3?$")
COMMAND = re.compile(r"(?:\S+=\S+ )*(?:prompt-pins|make|(?:\S*/)?python3?|pipx|uvx|(?:\S*/)?pip) ")
OURS = ("benchmarks.", "tools.")


def tokens(page: Path) -> Iterator[Token]:
    for token in MARKDOWN.parse(page.read_text("utf-8")):
        yield token
        yield from token.children or ()


def slugs(page: Path) -> set[str]:
    """Anchors of a page's headings, as hosts of Git make them and as the site does."""
    found: Counter[str] = Counter()
    parts = MARKDOWN.parse(page.read_text("utf-8"))
    for token, inside in itertools.pairwise(parts):
        if token.type == "heading_open":
            text = "".join(one.content for one in inside.children or ())
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            found[slug] += 1
    return {f"{slug}-{index}" if index else slug for slug, count in found.items() for index in range(count)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_somewhere(page: Path) -> None:
    wrong = []
    for token in tokens(page):
        link = str(token.attrGet("href") or token.attrGet("src") or "")
        if not link or link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or not target.is_relative_to(ROOT) or (anchor and anchor not in slugs(target)):
            wrong.append(link)
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_code_is_indented_within_a_list(page: Path) -> None:
    """The site's Markdown wants more blanks there than hosts of Git do, and would make text of it."""
    assert [token.content for token in tokens(page) if token.type == "code_block" and token.level > 0] == []


def commands(page: Path) -> Iterator[str]:
    """Lines of code blocks, and code within a line, that begin as a command of this project does."""
    for token in tokens(page):
        if token.type in ("code_block", "fence", "code_inline"):
            for line in token.content.replace("\\\n", " ").splitlines():
                if COMMAND.match(line):
                    yield from line.split(" && ")


def every() -> list[Any]:
    return [pytest.param(line, id=f"{page.stem}: {line}") for page in PAGES for line in dict.fromkeys(commands(page))]


@pytest.mark.parametrize("line", every())
def test_commands_and_options_exist(line: str) -> None:
    words = shlex.split(line, comments=True)
    while "=" in words[0]:
        del words[0]
    program, *rest = words
    if program == "prompt-pins":
        understood(rest)
    elif program == "make":
        made(rest)
    elif PYTHON.fullmatch(program):
        called(rest)
    else:
        installed(rest)


def understood(words: list[str]) -> None:
    """By the command line's own parser; nothing is run.  A sentence may name a command without its arguments."""
    group = typer.main.get_command(app)
    asks = bool({"--help", "--version", "--install-completion"} & set(words))
    context = group.make_context("prompt-pins", list(words), resilient_parsing=asks)
    if rest := [*context._protected_args, *context.args]:
        name, command, more = group.resolve_command(context, rest)
        command.make_context(name, more, parent=context, resilient_parsing=asks or not more)


def made(words: list[str]) -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    for word in words:
        name, equals, _ = word.partition("=")
        assert f"$({name})" in text or f"or $({name})," in text if equals else word in targets, word


class Parsed(Exception):
    """The arguments were understood."""


def called(words: list[str]) -> None:
    """A program of benchmarks/ or tools/ with its own parser; of other modules only the files that they are given."""
    if words[0] == "-m":
        module, arguments = words[1], words[2:]
    else:
        assert (ROOT / words[0]).is_file()
        module, arguments = words[0].removesuffix(".py").replace("/", "."), words[1:]
    if not module.startswith(OURS):
        assert module in ("pytest", "venv", "http.server"), module
        assert all((ROOT / word).exists() for word in arguments if word.startswith("tests/"))
        return

    parse = argparse.ArgumentParser.parse_args

    def parsed(self: argparse.ArgumentParser, *more: Any) -> NoReturn:
        parse(self, *more)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parsed)
        patch.setattr(sys, "argv", [module, *arguments])
        if words[0] != "-m":
            patch.syspath_prepend(str((ROOT / words[0]).parent))  # where Python looks first for a file that it runs
        with pytest.raises(Parsed):
            importlib.import_module(module).main()


def installed(words: list[str]) -> None:
    """Of a line for pip, pipx or uvx: the extras that it names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.mark.parametrize(
    "line",
    ["prompt-pins pin cat --no-such-option 1", "prompt-pins pins", "make no-such-target", "make fuzz COSES=1",
     "prompt-pins pin cat --steps many", "python -m benchmarks.no_such", "python -m benchmarks.multiplier --sids 1",
     'pip install "prompt-pins[nothing]"', "python -m pytest tests/no/such.py"],
)  # fmt: skip
def test_what_does_not_exist_is_found(line: str) -> None:
    with pytest.raises(BaseException):  # noqa: B017 (click's errors, SystemExit and failed assertions)
        test_commands_and_options_exist(line)


OPTION = re.compile(r"--[a-z][a-z-]*")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_sentences_exist(page: Path) -> None:
    """Those of a benchmark or tool stand on a line that names it, and those of a WebUI are listed here."""
    known = {name for one in typer.main.get_command(app).commands.values() for part in one.params for name in part.opts}
    known |= {name for one in typer.main.get_command(app).params for name in one.opts}
    theirs = {"--api", "--lowvram", "--no-hashing", "--gradio-auth", "--api-auth"}
    programs = "".join(
        path.read_text("utf-8") for name in ("benchmarks", "tools") for path in (ROOT / name).glob("*.py")
    )
    wrong = []
    for token in tokens(page):
        if token.type == "code_inline" and token.content.startswith("--"):
            name = OPTION.match(token.content)[0]
            if name not in known | theirs and f'"{name}"' not in programs:
                wrong.append(token.content)
    assert not wrong


def test_every_command_is_on_the_page_of_commands() -> None:
    page = (ROOT / "docs/command-line.md").read_text("utf-8")
    assert [
        name for name in typer.main.get_command(app).commands if not re.search(rf"prompt-pins {name}\b", page)
    ] == []


def test_the_changelog_begins_with_the_versions_that_are() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| 0.")]
    version, journal, summary, comparison, *_ = rows[0]
    assert version == __version__
    assert (int(journal.split(";")[0]), int(summary), int(comparison)) == (
        FORMAT_VERSION,
        SUMMARY_VERSION,
        COMPARISON_VERSION,
    )
    assert re.findall(r"^## (\S+)$", text, re.MULTILINE) == [row[0] for row in rows]


@pytest.mark.parametrize("path", sorted((ROOT / "docs/examples").glob("*.toml")), ids=lambda path: path.stem)
def test_examples_are_read_and_their_pictures_are_there(path: Path) -> None:
    settings = merged(None, path, {})
    assert settings.prompt and all(Path(one).is_file() for one in (*settings.target, settings.mask) if one)


def test_enough_is_looked_at() -> None:
    assert len(every()) > 60
