r"""Reading a prompt as the host reads it.

The host works in passes, each on what the one before left over, so the grammar has layers:

    prompt     = part { "AND" part } ;                     (* positive prompts; whole words only *)
    part       = text [ ":" number ] ;                     (* the AND weight: decimals, at the very end *)

    (* removed before: *)
    comment    = "#" { any but newline } ( newline | end ) ;      (* reads as one line break *)
    net        = "<" name ":" { any but ">" } ">" ;               (* positive prompts; reads as nothing *)

    (* schedules, in each part: *)
    text       = { group | switch | char | stray } ;
    inner      = { group | switch | char } ;
    group      = "(" inner [ ":" inner ] ")" | "[" inner "]" ;
    switch     = "[" [ inner ":" ] inner ":" when "]"             (* [from:to:when] [to:when] [from::when] *)
               | "[" inner "|" [ inner ] { "|" [ inner ] } "]" ;
    when       = [ blanks ] number [ exponent ] [ blanks ] ;
    char       = "\" any | any but "\ ( ) [ ] : |" ;
    stray      = "(" | ")" | "[" | "]" | ":" ;                    (* a stray "|" or "\": no schedules at all *)

    (* emphasis, in the text of one moment of all schedules: *)
    emphasis   = "(" moment ")"                                   (* x 1.1 *)
               | "(" moment ":" [ sign ] number ")"               (* x number *)
               | "(" moment ":" mark ")"                          (* ours: see steering *)
               | "[" moment "]" ;                                 (* x 1/1.1 *)
    moment     = { emphasis | "BREAK" | "\" bracket | "\\" | "\" | any } ;
                 (* brackets that nothing closes reach to the end; closers that nothing opened are text;
                    "\" alone reads as nothing; BREAK is a whole word, and only with weight 1 *)

Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from ..errors import PromptError, shorten
from .attention import Opaque, read_items
from .builder import Builder
from .cleaning import scattered
from .embeddings import Embeddings
from .loras import read_multipliers
from .nodes import Part, Prompt, Word
from .schedule import find_schedules, read_when, tokenize
from .source import Source, clean
from .steering import ATTEMPT

AND = re.compile(r"\bAND\b")
AND_WEIGHT = re.compile(r"\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+))\s*")
LARGEST = 1e30
"""Of an AND weight: times any CFG scale, it is still a number of 32 bits."""
TAIL = "".join(filter(str.isspace, map(chr, range(0x3001)))).translate(dict.fromkeys((0x0B, *range(0x1C, 0x20))))
"""White space that the host drops at the end of a part.  Without what its tokenizer drops everywhere: that may stay."""


def parse(text: str, embeddings: Collection[str] = (), negative: bool = False) -> Prompt:
    """Parse a prompt as the host does.  Linear in its length.

    embeddings: names of the textual inversions that the host knows; they are never cut.
    negative: the text is a negative prompt, where the host knows neither AND nor extra networks.
    Raises PromptError for a malformed steering mark, and for a weight or a step that stops the host itself.
    """
    source = clean(text, negative)
    known = Embeddings(embeddings)
    parts: list[Part] = []
    words: list[Word] = []
    for start, stop, end in split(source, negative):
        weight = AND_WEIGHT.fullmatch(source.text, stop, end)
        if weight is not None and abs(float(weight[1])) > LARGEST:
            column = source.column(weight.start(1)) + 1
            raise PromptError(f"the host cannot use the AND weight {shorten(weight[1])}: it is too large", column)
        part = _parse_part(source, start, stop, end, known, negative, len(words))
        parts.append(part)
        words += [node for node in part.nodes if isinstance(node, Word)]
    return Prompt(text, negative, source, tuple(parts), tuple(words), read_multipliers(source))


def split(source: Source, negative: bool) -> list[tuple[int, int, int]]:
    """Cut at AND: (start, end of the text, end with AND weight and final blanks) of each part."""
    text = source.text
    if negative:
        return [(0, len(text), len(text))]
    bounds: list[tuple[int, int, int]] = []
    start = 0
    for match in AND.finditer(text):
        bounds.append((start, _without_tail(text, start, match.start()), match.start()))
        start = match.end()
    bounds.append((start, _without_tail(text, start, len(text)), len(text)))
    return bounds


def _without_tail(text: str, start: int, end: int) -> int:
    body = text[start:end].rstrip(TAIL)
    colon = body.rfind(":")
    if colon >= 0 and AND_WEIGHT.fullmatch(body, colon):
        body = body[:colon].rstrip(TAIL)
    return start + len(body)


def _parse_part(
    source: Source, start: int, stop: int, end: int, embeddings: Embeddings, negative: bool, first: int
) -> Part:
    tokens = tokenize(source.text, start, stop)
    schedules = find_schedules(tokens)
    for index, (_, width) in schedules.marks.items():
        if width == 3:
            read_when(tokens.texts[index + 1], source.column(tokens.starts[index + 1]) + 1)
    try:
        if not schedules.sure:
            raise Opaque("a stray bracket, or a colon after a bracket, stands beside a schedule")
        if reason := scattered(source.text[start:stop]):
            raise Opaque(reason)
        items, emphasis = read_items(source, tokens, schedules.marks)
        builder = Builder(emphasis, embeddings, bool(schedules.marks), negative, first)
        builder.build(items)
        seams, joins = builder.seams.finish()
        return Part(start, stop, end, tuple(builder.nodes), builder.ending, seams, joins, "")
    except Opaque as opaque:
        mark = ATTEMPT.search(source.text, start, stop)
        if mark is not None:
            message = f"a steering mark cannot be used here: {opaque}"
            raise PromptError(message, source.column(mark.start("mark")) + 1) from None
        return Part(start, stop, end, (), None, (), (), str(opaque))
