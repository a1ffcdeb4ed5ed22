"""What the host's tokenizer changes in a text before it cuts it, as far as that reaches beyond a word.

It mends the text (with ftfy): full-width forms become plain ones, quotes straight, ligatures letters, `&amp;` becomes
`&`, and so on; then it makes it lower case.  Nearly all of that happens inside a word and is no matter here.  What
reaches further: a few letters become marks, which join a comma (`LOOSE`); a character reference reaches over a comma
(`REFERENCE`); and two things are read by what else stands in the text (`scattered`).

Standard library only.
"""

from __future__ import annotations

import html.entities
import re

LOOSE = (
    "_\u0130\u0149\u02bc\u0958-\u095f\u09dc\u09dd\u09df\u0a33\u0a36\u0a59-\u0a5b\u0a5e\u0b5c\u0b5d"
    "\u0f43\u0f4d\u0f52\u0f57\u0f5c\u0f69\ufb1d-\ufb4e\uff9e\uff9f"
)
"""Letters to Python, but not to the tokenizer: lower case, NFC or straight quotes turn an edge of them into a mark."""

_NAMES = "|".join(sorted(name for name in html.entities.html5 if not name.endswith(";")))
REFERENCE = rf"[&＆](?:[#＃]|{_NAMES})"
"""The start of a character reference that some hosts read without its semicolon, whatever follows."""

PLAIN: dict[int, int | str] = {
    **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)},
    **dict.fromkeys((0x02BC, *range(0x2018, 0x201C)), "'"),
    **dict.fromkeys(range(0x201C, 0x2020), '"'),
    **dict.fromkeys((*range(9), 0x0B, *range(0x0E, 0x20), 0x7F, *range(0x206A, 0x2070), 0xFEFF), " "),
}
"""For `str.translate`: full-width forms and curly quotes to plain ones, what is dropped to blanks, one for one."""

MOJIBAKE = re.compile("[ÂÃ][\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|(?:(?<!\\w)|(?<=[a-z]))[ÂÃ] |â€|ã[€‚ƒ]|ï[»¼]|ðŸ")


def scattered(text: str) -> str:
    """Why the host's cleaning depends on more of a text than the word it stands in; empty if it does not."""
    if "<" in text:
        plain = text.translate(PLAIN)
        if 0 <= plain.find("&") < plain.rfind(";"):
            return "'<' stands beside '&' and ';', and the host reads a name like &amp; only where there is no '<'"
    match = None if text.isascii() else MOJIBAKE.search(text)
    return f"{match.group()!r} looks like text in a wrong encoding, which the host repairs as a whole" if match else ""
