r"""Compel's notation, to and from the host's.

    word+  word--            1.1 and 0.9 to the power of the number of signs
    (phrase)++  (phrase)1.3  the same for several words, or a number; brackets without either mean nothing
    "phrase"--               quotes are brackets
    \( \) \" \+ \- ...       text

Weights nest and multiply.  `.and()`, `.blend()`, `.swap()` and `.attend()` have no counterpart here and are refused.

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..errors import PromptError
from .nodes import Blank, Prompt, Vary, Word
from .printer import show, weigh
from .words import spell

PLUS, MINUS = 1.1, 0.9
SYNTAX = r"""\s()",.+\-="""
TOKEN = re.compile(
    rf"(?P<call>\.(?:and|add|blend|swap|attend)\s*\(|\b(?:with|use)Lora\s*\()"
    rf"|(?P<word>(?:\\[()\",.+\-=]|[^{SYNTAX}]|[+-](?=[^{SYNTAX}]))+)(?P<signs>\++|-+)?"
    r"|(?P<open>\()|(?P<close>\))|(?P<quote>\")|(?P<blank>\s+)|(?P<other>[,.=+-])"
)
SUFFIX = re.compile(r"(?P<signs>\++|-+)(?!\.?\d)|(?P<number>\d+\.?\d*|\.\d+)|(?P<bad>[+-]+\.?\d)")
AND_WEIGHT = re.compile(r":\s*(?=[-+]?(?:\d+\.?|\d*\.\d+)\s*\Z)")
ESCAPE = re.compile(r"\\([()\",.+\-=])")
SPECIAL = re.compile(rf"[()\"=]|[+-](?![^{SYNTAX}])|\.(?=(?:and|add|blend|swap|attend)\s*\()")


class _Open(NamedTuple):
    bracket: str
    column: int
    first: int


class _Pieces:
    """Texts and their weights, in order."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.weights: list[float] = []

    def add(self, text: str, weight: float = 1.0) -> None:
        self.texts.append(text)
        self.weights.append(weight)

    def scale(self, first: int, by: float) -> None:
        if by != 1.0:
            self.weights[first:] = [weight * by for weight in self.weights[first:]]


def to_a1111(text: str) -> str:
    """Turn a prompt in Compel's notation into plain host syntax with the same weights.

    Raises PromptError, with the column, for operators that have no counterpart, for brackets that do not match, and
    for `#`, which the host would take for a comment.
    """
    pieces = _Pieces()
    stack: list[_Open] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        kind = match.lastgroup if match is not None else None
        if match is None or kind is None:
            pieces.add(text[place])
            place += 1
            continue
        place = match.end()
        column = match.start() + 1
        if match["call"]:
            name = match["call"].rstrip("( \t\n")
            raise PromptError(f"{name}() of Compel has no counterpart in this prompt syntax", column)
        if match["word"]:
            if "#" in match["word"]:
                raise PromptError("a # would start a comment", column + match["word"].index("#"))
            pieces.add(ESCAPE.sub(r"\1", match["word"]), _power(match["signs"]))
        elif match["open"] or (match["quote"] and not (stack and stack[-1].bracket == '"')):
            stack.append(_Open(match.group(), column, len(pieces.texts)))
        elif match["close"] or match["quote"]:
            place = _close(text, match, stack, pieces)
        else:
            pieces.add(match.group())
    if stack:
        raise PromptError(f"{stack[-1].bracket} is never closed", stack[-1].column)
    return _print(pieces)


def _close(text: str, match: re.Match[str], stack: list[_Open], pieces: _Pieces) -> int:
    opened = stack.pop() if stack else None
    if opened is None or (opened.bracket == "(") != (match.group() == ")"):
        raise PromptError(f"{match.group()} closes nothing", match.start() + 1)
    suffix = SUFFIX.match(text, match.end())
    if suffix is None:
        return match.end()
    if suffix["bad"]:
        raise PromptError("a weight is either signs or a number that is not negative", suffix.start() + 1)
    pieces.scale(opened.first, float(suffix["number"]) if suffix["number"] else _power(suffix["signs"]))
    return suffix.end()


def _power(signs: str | None) -> float:
    if not signs:
        return 1.0
    return float((PLUS if signs[0] == "+" else MINUS) ** len(signs))


def _print(pieces: _Pieces) -> str:
    """Group equal weights; Compel reads pieces apart, so letters that would be glued get a blank between."""
    out: list[str] = []
    run: list[str] = []
    now, before = "", ""
    for text, weight in zip(pieces.texts, pieces.weights):
        shown = show(weight, weight)
        shown = "" if shown == "1" else shown
        if shown != now:
            out.append(_run(run, now))
            run, now = [], shown
        elif before[-1:].isalnum() and text[:1].isalnum():
            run.append(" ")
        run.append(spell(text, False, False))
        before = text
    out.append(_run(run, now))
    return AND_WEIGHT.sub(r"\g<0>\\", "".join(out))


def _run(texts: list[str], weight: str) -> str:
    text = "".join(texts)
    return f"({text}:{weight})" if weight and text.strip() else text


def from_prompt(
    prompt: Prompt, weights: Sequence[float] | None = None, vary: Vary = "words", loras: bool = False
) -> str:
    """A prompt with these weights (None: the original ones) in Compel's notation.  Network tags are left out.

    Raises PromptError for what Compel cannot say: schedules, AND, BREAK, and parts that cannot be taken apart.
    """
    if len(prompt.parts) > 1 or prompt.parts[0].opaque:
        raise PromptError("Compel has no AND" if len(prompt.parts) > 1 else prompt.parts[0].opaque)
    shown = weigh(prompt, weights, vary, loras)
    out: list[str] = []
    run, now, blank = "", "", ""
    text = prompt.source.text
    for node in prompt.parts[0].nodes:
        if isinstance(node, Blank):
            blank += text[node.start : node.end]
        elif isinstance(node, Word):
            weight = shown[node.number]
            if weight != now:
                apart = "" if node.text[0] == "," or not run else " "
                out.append((f"({run}){now}" if now else run) + (blank or apart))
                run, now, blank = "", weight, ""
            elif node.cut and not blank:
                blank = " "
            run += blank + SPECIAL.sub(r"\\\g<0>", node.text)
            blank = ""
        else:
            raise PromptError("Compel has neither BREAK nor prompts that change with the step")
    out.append(f"({run}){now}" if now else run)
    return "".join(out).strip() + blank.rstrip()
