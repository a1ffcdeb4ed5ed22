r"""Compel's notation, to and from the host's.

    word+  word--            1.1 and 0.9 to the power of the number of signs
    (phrase)++  (phrase)1.3  the same for several words, or a number; brackets without either mean nothing
    "phrase"--               quotes are brackets
    \( \) \"                 text

Weights nest and multiply.  Outside brackets a run of characters that is no word with signs behind it is text, whatever
is in it (`e=mc2`, `-`); inside, `=` and signs that belong to no word are not read.  `.and()`, `.blend()`, `.swap()` and
`.attend()` have no counterpart here and are refused.

Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from ..errors import PromptError, shorten
from .embeddings import pretokens
from .nodes import Blank, Prompt, Vary, Word
from .parser import parse
from .printer import show, weigh
from .words import spell

PLUS, MINUS = 1.1, 0.9
SPACE = r" \t\n\r\x0b\x0c"
SYNTAX = rf"""{SPACE}()",.+\-="""
CALL = re.compile(r"(?<!\\)\.(?:and|add|blend|swap|attend)\s*\(|\b(?:with|use)Lora\s*\(")
WORD = re.compile(rf"(?:\\[()\".+\-=]|\\,(?=[{SPACE}]|\Z)|[^{SYNTAX}]|[+-](?=[^{SYNTAX}]))+")
SIGNS = re.compile(r"\++|-+")
NUMBER = re.compile(r"\d+\.?\d*|\.\d+")
BLANK = re.compile(rf"[{SPACE}]+")
TEXT = re.compile(rf"[^{SPACE}][^{SPACE},]*,?")
AND_WEIGHT = re.compile(r":\s*(?=[-+]?(?:\d+\.?|\d*\.\d+)\s*\Z)")
BRACKET = re.compile(r"\\+[()]|[()]")
ESCAPE = re.compile(r"\\+([()\"])")
UNREADABLE = re.compile(r"[\x0b\x0c]")
SPECIAL = re.compile(r"[()\"]")
SIGNED = re.compile(rf"(?<=\w)(?=(?:\++|-+)(?:[{SYNTAX}]|\Z))")


TOO_LARGE = "the weight is too large for a number"


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

    def scale(self, first: int, by: float, column: int) -> None:
        if by != 1.0:
            self.weights[first:] = [weight * by for weight in self.weights[first:]]
            if not all(map(math.isfinite, self.weights[first:])):
                raise PromptError(TOO_LARGE, column)


def to_a1111(text: str) -> str:
    """Turn a prompt in Compel's notation into plain host syntax with the same weights.

    Raises PromptError, with the column, for operators that have no counterpart, for brackets that do not match or hold
    what Compel does not read there, for weights too large for a number, and for `#`, which the host would take for a
    comment.
    """
    if call := CALL.search(text):
        name = call.group().rstrip("( \t\n")
        raise PromptError(f"{name}() of Compel has no counterpart in this prompt syntax", call.start() + 1)
    if "#" in text:
        raise PromptError("a # would start a comment", text.index("#") + 1)
    pieces = _Pieces()
    stack: list[_Open] = []
    place = 0
    while place < len(text):
        char = text[place]
        if blank := BLANK.match(text, place):
            pieces.add(blank.group())
            place = blank.end()
        elif char == "(" or (char == '"' and not (stack and stack[-1].bracket == '"')):
            stack.append(_Open(char, place + 1, len(pieces.texts)))
            place += 1
        elif char == '"' or (char == ")" and stack):
            place = _close(text, place, stack, pieces)
        else:
            place = _take(text, place, bool(stack), pieces)
    if stack:
        raise PromptError(f"{stack[-1].bracket} is never closed", stack[-1].column)
    return _print(pieces)


def _close(text: str, place: int, stack: list[_Open], pieces: _Pieces) -> int:
    opened = stack.pop()
    if (opened.bracket == "(") != (text[place] == ")"):
        raise PromptError(f"{text[place]} closes nothing", place + 1)
    if opened.bracket == '"' and "\n" in text[opened.column : place]:
        raise PromptError("Compel reads no line break inside quotes", opened.column)
    place += 1
    if number := NUMBER.match(text, place):
        pieces.scale(opened.first, float(number.group()), place + 1)
        return number.end()
    signs = SIGNS.match(text, place)
    if signs is None:
        return place
    pieces.scale(opened.first, _power(signs.group(), place + 1), place + 1)
    return signs.end()


def _take(text: str, place: int, inside: bool, pieces: _Pieces) -> int:
    """A word, with its signs, or what else stands there; where it ends."""
    if word := WORD.match(text, place):
        signs = SIGNS.match(text, word.end())
        if signs is not None or inside:
            end = word.end() if signs is None else signs.end()
            weight = 1.0 if signs is None else _power(signs.group(), word.end() + 1)
            pieces.add(ESCAPE.sub(r"\1", word.group()), weight)
            return end
    if inside:
        if text[place] not in ",.":
            raise PromptError(f"Compel does not read {text[place]!r} by itself inside brackets", place + 1)
        pieces.add(text[place])
        return place + 1
    # Compel sets a blank after a comma, but for one that stands right before another
    lone = text[place] == "," and text[place - 1 : place] != ","
    run = TEXT.match(text, place)
    assert run is not None
    end = place + 1 if lone else run.end()
    depth = 0
    for bracket in BRACKET.finditer(text, place, end):
        depth += {"(": 1, ")": -1}.get(bracket.group(), 0)
        if depth < 0:
            raise PromptError(") closes nothing", bracket.start() + 1)
    pieces.add(ESCAPE.sub(r"\1", text[place:end]))
    return end


def _power(signs: str, column: int) -> float:
    try:
        return float((PLUS if signs[0] == "+" else MINUS) ** len(signs))
    except OverflowError:
        raise PromptError(TOO_LARGE, column) from None


def _print(pieces: _Pieces) -> str:
    """Group equal weights; Compel reads pieces apart, so what would be glued into one token gets a blank between."""
    out: list[str] = []
    run: list[str] = []
    now, before = "", ""
    for text, weight in zip(pieces.texts, pieces.weights):
        shown = show(weight, weight)
        shown = "" if shown == "1" else shown
        if shown != now:
            out.append(_run(run, now))
            run, now = [], shown
        elif before and before[-1].isalnum() == text[0].isalnum() and not (before[-1].isspace() or text[0].isspace()):
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

    Raises PromptError for what Compel cannot say: schedules, AND, BREAK, parts that cannot be taken apart, negative
    weights, and text that it would read with other weights or tokens.
    """
    if len(prompt.parts) > 1 or prompt.parts[0].opaque:
        raise PromptError("Compel has no AND" if len(prompt.parts) > 1 else prompt.parts[0].opaque)
    part, text = prompt.parts[0], prompt.source.text
    if text[part.stop : part.end].strip():
        raise PromptError(f"Compel has no AND weight, and this prompt ends in {text[part.stop : part.end].strip()}")
    runs = _runs(prompt, weigh(prompt, weights, vary, loras))
    out: list[str] = []
    for said, weight in runs:
        if weight.startswith("-"):
            raise PromptError(f"Compel has no negative weights, and {shorten(said.strip())} has {weight}")
        said = SPECIAL.sub(r"\\\g<0>", said)
        if weight:
            inner = said.strip()
            said = said.replace(inner, f"({inner}){weight}", 1)
        else:
            said = SIGNED.sub(" ", said)
        if out and not out[-1][-1].isspace() and not said[0].isspace() and said[0] != ",":
            out.append(" ")
        out.append(said)
    notation = "".join(out).strip()
    try:
        if UNREADABLE.search(notation):
            raise PromptError("Compel reads no vertical tab and no form feed")
        back = parse(to_a1111(notation))
    except PromptError as error:
        raise PromptError(f"Compel cannot say this prompt: {shorten(notation)}, {error}") from None
    for meant, read in zip_longest(_tokens(runs), _tokens(_runs(back, weigh(back, None, "words", False)))):
        if meant != read:
            text, weight = meant or ("", "")
            raise PromptError(f"Compel cannot say {text!r} with the weight {weight or 1} as it stands in this prompt")
    return notation


def _runs(prompt: Prompt, shown: Sequence[str]) -> list[tuple[str, str]]:
    """The texts of equal weight, as the host reads them, and their weights as printed, empty for 1."""
    runs: list[tuple[list[str], str]] = []
    text, blank = prompt.source.text, ""
    for node in prompt.parts[0].nodes:
        if isinstance(node, Blank):
            blank += text[node.start : node.end]
        elif isinstance(node, Word):
            weight = shown[node.number]
            blank = blank or " " * bool(node.cut)
            if runs and runs[-1][1] == weight:
                runs[-1][0].append(blank)
            else:
                if runs:
                    runs[-1][0].append(blank)
                runs.append(([], weight))
            runs[-1][0].append(node.text)
            blank = ""
        else:
            raise PromptError("Compel has neither BREAK nor prompts that change with the step")
    return [("".join(texts), weight) for texts, weight in runs]


def _tokens(runs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """What the tokenizer cuts first, each with its weight."""
    return [(match.group(), weight) for text, weight in runs for match in pretokens(text.lower())]
