"""A second reading of prompts, written from the host's documented behaviour and sharing nothing with the product.

`read` gives what reaches the model: for every AND part its weight and, for every step at which the text changes,
the chunks of token ids with their multipliers.  Slow and plain on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

Tokenize = Callable[[str], list[int]]
COMMA = 267
START, END = 49406, 49407
CHUNK = 75
BACKTRACK = 20


class HostStops(Exception):
    """The host raises an error on this prompt."""


@dataclass
class Reading:
    """Networks named by the prompt, and parts: (AND weight, [(last step, [(id, multiplier), ...] a chunk), ...])."""

    networks: list[tuple[str, ...]] = field(default_factory=list)
    parts: list[tuple[float, list[tuple[int, list[list[tuple[Any, float]]]]]]] = field(default_factory=list)


def read(
    text: str, tokenize: Tokenize, negative: bool = False, steps: int = 5, embeddings: tuple[str, ...] = ()
) -> Reading:
    text = without_comments(text)
    reading = Reading()
    if negative:
        parts = [(1.0, text)]
    else:
        text, reading.networks = without_networks(text)
        parts = [and_weight(part) for part in re.split(r"\bAND\b", text)]
    names = sorted((tokenize(name) for name in embeddings), key=len, reverse=True)
    for weight, part in parts:
        schedule = [
            (step, chunks(emphasis(moment), tokenize, [n for n in names if n])) for step, moment in moments(part, steps)
        ]
        reading.parts.append((weight, schedule))
    return reading


def without_comments(text: str) -> str:
    """Lines that start with # go with both their line breaks for one; then the rest of any line from #."""
    for opener in ("\n#", "#") if "#" in text else ():
        out, i = [], 0
        while i < len(text):
            at_top = opener == "\n#" and i == 0 and text[0] == "#"
            if at_top or text.startswith(opener, i):
                stop = text.find("\n", i + (1 if opener == "\n#" and not at_top else 0))
                out.append("\n")
                i = len(text) if stop < 0 else stop + 1
            else:
                out.append(text[i])
                i += 1
        text = "".join(out)
    return text


def without_networks(text: str) -> tuple[str, list[tuple[str, ...]]]:
    found: list[tuple[str, ...]] = []
    out, i = [], 0
    while i < len(text):
        if text[i] == "<":
            colon = i + 1
            while colon < len(text) and (text[colon].isalnum() or text[colon] == "_"):
                colon += 1
            stop = text.find(">", colon)
            if colon > i + 1 and text[colon : colon + 1] == ":" and stop > colon + 1:
                found.append((text[i + 1 : colon], *text[colon + 1 : stop].split(":")))
                i = stop + 1
                continue
        out.append(text[i])
        i += 1
    return "".join(out), found


def and_weight(part: str) -> tuple[float, str]:
    part = part.rstrip()
    head, colon, tail = part.rpartition(":")
    if colon and re.fullmatch(r"[-+]?(\d+\.?|\d*\.\d+)", tail.strip()):
        return float(tail), head.rstrip()
    return 1.0, part


# Schedules: recursive descent over the characters.  A node is a string, a list of nodes (a bracket of emphasis), or
# (options, when), with None as when for [a|b].

WHEN = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
Tree = list[Any]


def moments(text: str, steps: int) -> list[tuple[int, str]]:
    tree = schedule_tree(text)
    if tree is None:
        return [(steps, text)]
    changes = {steps}
    note_changes(tree, steps, changes)
    return [(step, at_step(tree, step, steps)) for step in sorted(changes)]


def when_step(when: str, steps: int) -> int:
    value = float(when) * (steps if "." in when else 1)
    return min(steps, int(value)) if abs(value) < 1e9 else steps if value > 0 else 0


def note_changes(tree: Tree, steps: int, changes: set[int]) -> None:
    for node in tree:
        if isinstance(node, str):
            continue
        if isinstance(node, list):
            note_changes(node, steps, changes)
            continue
        options, when = node
        if when is None:
            changes.update(range(1, steps + 1))
        elif when_step(when, steps) >= 1:
            changes.add(when_step(when, steps))
        for option in options:
            note_changes(option, steps, changes)


def at_step(tree: Tree, step: int, steps: int) -> str:
    out = []
    for node in tree:
        if isinstance(node, str):
            out.append(node)
            continue
        if isinstance(node, list):
            out.append(at_step(node, step, steps))
            continue
        options, when = node
        if when is None:
            chosen = options[(step - 1) % len(options)]
        else:
            chosen = options[0] if step <= when_step(when, steps) else options[1]
        out.append(at_step(chosen, step, steps))
    return "".join(out)


def schedule_tree(text: str) -> Tree | None:
    """The whole text; None where the host gives up on schedules."""
    memo: dict[int, tuple[Any, int] | None] = {}
    tree: Tree = []
    i = 0
    while i < len(text):
        element = read_element(text, i, memo)
        if element is not None:
            tree.append(element[0])
            i = element[1]
        elif text[i] in "()[]:":
            tree.append(text[i])
            i += 1
        else:
            return None
    return tree


def read_element(text: str, i: int, memo: dict[int, Any]) -> tuple[Any, int] | None:
    """One well-formed element at i and where it ends; None if there is none."""
    if i not in memo:
        memo[i] = None
        char = text[i]
        if char == "\\":
            if i + 1 < len(text) and text[i + 1] != "\n":
                memo[i] = (text[i : i + 2], i + 2)
        elif char == "(":
            memo[i] = read_round(text, i, memo)
        elif char == "[":
            memo[i] = read_square(text, i, memo)
        elif char not in ")]:|":
            memo[i] = (char, i + 1)
    result: tuple[Any, int] | None = memo[i]
    return result


def read_inner(text: str, i: int, memo: dict[int, Any]) -> tuple[Tree, int]:
    tree: Tree = []
    while i < len(text) and (element := read_element(text, i, memo)) is not None:
        tree.append(element[0])
        i = element[1]
    return tree, i


def read_round(text: str, start: int, memo: dict[int, Any]) -> tuple[Any, int] | None:
    inside, i = read_inner(text, start + 1, memo)
    tree: Tree = ["(", *inside]
    if text[i : i + 1] == ":":
        inside, i = read_inner(text, i + 1, memo)
        tree += [":", *inside]
    return ([*tree, ")"], i + 1) if text[i : i + 1] == ")" else None


def read_square(text: str, start: int, memo: dict[int, Any]) -> tuple[Any, int] | None:
    options, i = [], start + 1
    spans = []
    separators = ""
    while True:
        begin = i
        inside, i = read_inner(text, i, memo)
        options.append(inside)
        spans.append(text[begin:i])
        char = text[i : i + 1]
        if char in (":", "|") and (not separators or separators[0] == char):
            separators += char
            i += 1
            continue
        break
    if char != "]":
        return None
    if not separators:
        return (["[", *options[0], "]"], i + 1)
    if separators[0] == "|":
        return ((options, None), i + 1)
    if len(separators) > 2 or not WHEN.fullmatch(spans[-1].strip()):
        return None
    chosen = options[:-1] if len(options) == 3 else [[], options[0]]
    return ((chosen, spans[-1].strip()), i + 1)


def emphasis(text: str) -> list[tuple[str, float]]:
    """Texts and weights, as the host merges them."""
    pieces: list[list[Any]] = []
    rounds: list[int] = []
    squares: list[int] = []

    def scale(first: int, by: float) -> None:
        for piece in pieces[first:]:
            piece[1] *= by

    i = 0
    while i < len(text):
        char = text[i]
        weight = re.compile(r":\s*([+-]?[.\d]+)\s*\)").match(text, i) if char == ":" and rounds else None
        if char == "\\":
            taken = text[i + 1 : i + 2] if text[i + 1 : i + 2] in tuple("\\()[]") else ""
            pieces.append([taken, 1.0])
            i += 1 + len(taken)
        elif weight:
            try:
                number = float(weight[1])
            except ValueError:
                raise HostStops(weight[1]) from None
            scale(rounds.pop(), number)
            i = weight.end()
        elif char in "([":
            (rounds if char == "(" else squares).append(len(pieces))
            i += 1
        elif char == ")" and rounds:
            scale(rounds.pop(), 1.1)
            i += 1
        elif char == "]" and squares:
            scale(squares.pop(), 1 / 1.1)
            i += 1
        else:
            stop = i + 1
            if char not in ")]:":
                while stop < len(text) and text[stop] not in "\\()[]:":
                    stop += 1
            for number, piece in enumerate(re.split(r"\s*\bBREAK\b\s*", text[i:stop])):
                if number:
                    pieces.append(["BREAK", -1.0])
                pieces.append([piece, 1.0])
            i = stop
    for first in rounds:
        scale(first, 1.1)
    for first in squares:
        scale(first, 1 / 1.1)
    merged: list[list[Any]] = []
    for piece in pieces or [["", 1.0]]:
        if merged and merged[-1][1] == piece[1]:
            merged[-1][0] += piece[0]
        else:
            merged.append(piece)
    return [(text, weight) for text, weight in merged]


def chunks(texts: list[tuple[str, float]], tokenize: Tokenize, names: list[list[int]]) -> list[list[tuple[Any, float]]]:
    """75 tokens each; an embedding stands for two vectors here and is never split."""
    done: list[list[tuple[Any, float]]] = []
    now: list[tuple[Any, float]] = []
    comma = -1
    for text, weight in texts:
        if text == "BREAK" and weight == -1:
            done.append(now)
            now, comma = [], -1
            continue
        ids = tokenize(text)
        i = 0
        while i < len(ids):
            if ids[i] == COMMA:
                comma = len(now)
            elif len(now) == CHUNK and comma != -1 and len(now) - comma <= BACKTRACK:
                done.append(now[: comma + 1])
                now, comma = now[comma + 1 :], -1
            if len(now) == CHUNK:
                done.append(now)
                now, comma = [], -1
            name = next((name for name in names if ids[i : i + len(name)] == name), None)
            if name is None:
                now.append((ids[i], weight))
                i += 1
                continue
            if len(now) + 2 > CHUNK:
                done.append(now)
                now, comma = [], -1
            now += [(tuple(name), weight)] * 2
            i += len(name)
    if now or not done:
        done.append(now)
    return done


def same(left: Reading, right: Reading, weights: bool) -> bool:
    """Equal token for token; multipliers too (to 1e-6) if `weights`.  Networks count in order for each kind."""
    kinds = [sorted(reading.networks, key=lambda network: network[0]) for reading in (left, right)]
    if kinds[0] != kinds[1] or len(left.parts) != len(right.parts):
        return False
    for (weight_l, schedule_l), (weight_r, schedule_r) in zip(left.parts, right.parts):
        if weight_l != weight_r or len(schedule_l) != len(schedule_r):
            return False
        for (step_l, chunks_l), (step_r, chunks_r) in zip(schedule_l, schedule_r):
            if step_l != step_r or [len(c) for c in chunks_l] != [len(c) for c in chunks_r]:
                return False
            for (id_l, by_l), (id_r, by_r) in zip(chain(*chunks_l), chain(*chunks_r)):
                if id_l != id_r or (weights and abs(by_l - by_r) > 1e-6):
                    return False
    return True
