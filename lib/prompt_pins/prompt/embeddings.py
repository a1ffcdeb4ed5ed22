"""Names of textual-inversion embeddings in a text.

The host looks for the tokens of a name among the tokens of a stretch of equal weight, so a name must never be cut.
Tokens are not known here; names and text are compared by what the tokenizer cuts first: runs of letters, single
digits, runs of punctuation, without regard to case and blanks.

Standard library only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from .cleaning import LOOSE, PLAIN
from .nodes import Piece

PRETOKEN = re.compile(rf"'(?:s|t|re|ve|m|ll|d)|[^\W\d{LOOSE}]+|\d|(?:[^\s\w]|[{LOOSE}])+")


def pretokens(text: str) -> list[re.Match[str]]:
    """Cut a text as CLIP's tokenizer does before byte pairs are merged."""
    return list(PRETOKEN.finditer(text.translate(PLAIN)))


class Embeddings:
    """The names that the host knows, ready to be found."""

    def __init__(self, names: Collection[str]) -> None:
        keys = (tuple(match.group() for match in pretokens(name.lower())) for name in names)
        self.names = frozenset(key for key in keys if key)
        self.single = frozenset(key[0] for key in self.names if len(key) == 1)
        self.by_second: dict[str, list[tuple[str, ...]]] = {}
        for key in self.names:
            if len(key) > 1:
                self.by_second.setdefault(key[1], []).append(key)
        for keys_of_second in self.by_second.values():
            keys_of_second.sort(key=len, reverse=True)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Where names stand in a text: (start, end), in order, without overlap."""
        found: list[tuple[int, int]] = []
        matches = pretokens(text.lower()) if len(text.lower()) == len(text) else pretokens(text)
        tokens = [match.group().lower() for match in matches]
        index = 0
        while index < len(tokens):
            length = self._match(tokens, index)
            if length:
                found.append((matches[index].start(), matches[index + length - 1].end()))
            index += max(1, length)
        return found

    def _match(self, tokens: list[str], index: int) -> int:
        second = tokens[index + 1] if index + 1 < len(tokens) else None
        for key in self.by_second.get(second, ()) if second is not None else ():
            rest = tokens[index + 1 : index + len(key)]
            if tokens[index].endswith(key[0]) and rest == list(key[1:]):
                return len(key)
        return 1 if tokens[index] in self.single else 0

    def crossed(self, texts: list[str]) -> set[int]:
        """Between which neighbours a name would appear if they were read as one: i for texts[i] and texts[i + 1]."""
        tokens: list[str] = []
        owners: list[int] = []
        for owner, text in enumerate(texts):
            found = [match.group().lower() for match in pretokens(text)]
            tokens += found
            owners += [owner] * len(found)
        borders: set[int] = set()
        for index in range(len(tokens)):
            length = self._match(tokens, index)
            borders.update(range(owners[index], owners[index + length - 1]) if length else ())
        return borders

    def scattered(self, texts: list[str]) -> bool:
        """Whether the pieces of a name lie about in the texts other than as whole names."""
        tokens = [[match.group().lower() for match in pretokens(text)] for text in texts]
        count = Counter(token for some in tokens for token in some)
        for key in self.names:
            if len(key) < 2 or any(token not in count for token in key[1:]):
                continue
            whole = sum(
                self._match(some, i) == len(key) and tuple(some[i + 1 : i + len(key)]) == key[1:]
                for some in tokens
                for i in range(len(some))
            )
            heads = sum(number for token, number in count.items() if token.endswith(key[0]))
            if whole < min(heads, *(count[token] for token in key[1:])):
                return True
        return False

    def join(self, text: str, spans: list[Piece]) -> list[Piece]:
        """Make one span of all spans that a name touches, and call it an embedding."""
        joined: list[Piece] = []
        index = 0
        for start, end in self.find(text):
            while index < len(spans) and spans[index].end <= start:
                joined.append(spans[index])
                index += 1
            if joined and joined[-1].kind == "embedding" and joined[-1].end > start:
                last = joined.pop()
            else:
                last = spans[index]
                index += 1
            stop = last.end
            while index < len(spans) and spans[index].start < end:
                stop = spans[index].end
                index += 1
            joined.append(last._replace(kind="embedding", end=stop))
        return joined + spans[index:]
