"""Generators of prompts: likely ones, and hostile ones."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

TEXT = r"""
cat dog red blue 1girl masterpiece best-quality 8k f/1.8 it's O'Brien _x_ __wild__ {a|b} ... - & café naïve 猫
かわいい 고양이 кошка قطة ไทย नमस्ते 😀 👩‍🎨 ♥ 16:9 :) ;) <3 \( \) \[ \] \\ AND_ and BREAKFAST easynegative bad-hands
bad prompt v2 EAK BR A ND <lora it’s “quoted” （高） ｆｕｌｌ ﬁne R&amp;B &lt, İ ŉ ʼ cafÃ© <
"""
WORDS = TEXT.split()
SPACES = [" ", ", ", ",", "  ", "\n", " ,", ",,", "\u3000", "，", ". ", "; ", ""]
NAMES = ("EasyNegative", "bad-hands", "bad prompt", "my, name", "v2")
NUMBERS = ["1.2", "0.8", "1", "1.0", ".5", "-0.5", "+1.3", "0", "1.05", "2", "1.21", "1.1", "1e-05", " 1.2 ", "1."]
WHENS = ["5", "0.5", " 3 ", ".25", "1e1", "-2", "0", "12"]
BETWEEN = [
    "",
    " ",
    ", ",
    " AND ",
    " BREAK ",
    "\n",
    " # note\n",
    "<lora:foo:0.8>",
    " <hypernet:bar>",
    "BREAK",
    " :1.2 AND ",
]
ENDS = ["", "", "", ":1.1", " # end", " "]
FORMS = [
    "({0}:{number})",
    "({0})",
    "[{0}]",
    "[{0}:{1}:{when}]",
    "[{0}:{when}]",
    "[{0}|{1}]",
    "[{0}|{1}|{2}]",
    "{0}{1}",
    "",
    "",
]
FRAGMENTS = [
    *"()[]:|\\,",
    *(
        "a",
        "b ",
        " ",
        "\n",
        "5",
        "0.5",
        ":1.2)",
        ":1.1",
        ":5]",
        "[x:",
        "|]",
        "é",
        "_",
        "AND",
        " AND ",
        "BREAK",
        " BREAK ",
    ),
    *(
        "(c:1.3)",
        "[d:e:3]",
        "[f|g]",
        "((h))",
        "[i]",
        "\\(",
        "\\)",
        "\\:",
        "#",
        "# k\n",
        "<lora:l:0.5>",
        "<",
        ">",
        "A",
        "ND",
    ),
    *(
        "(",
        ")",
        "[",
        "]",
        ":",
        "bad",
        " prompt",
        "-hands",
        "(m n:0.9)",
        ",",
        ", ",
        "(o:1.0)",
        "猫",
        "'s",
        "\u3000",
        "\x0b",
    ),
    *("’s", "，", "（", "&amp;", "&#39;", "&lt", "ŉ", "İ", "ʼ", "क़", "ﾞ", "\ufeff", "Ã©", "â€™", "＆amp；", "\x1b"),
]


@st.composite
def likely(draw: st.DrawFn) -> str:
    """Prompts as people write them: lists, emphasis, schedules, tags, comments, AND and BREAK."""
    word = st.sampled_from(WORDS)
    space = st.sampled_from(SPACES)
    run = st.lists(st.tuples(word, space), max_size=5).map(lambda pairs: "".join(w + s for w, s in pairs))
    number, when = st.sampled_from(NUMBERS), st.sampled_from(WHENS)

    def nest(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        several = st.lists(inner, max_size=3).map("".join)
        return st.one_of(
            st.builds("({}:{})".format, several, number),
            st.builds("({})".format, several),
            st.builds("[{}]".format, several),
            st.builds("[{}:{}:{}]".format, several, several, when),
            st.builds("[{}:{}]".format, several, when),
            st.lists(several, min_size=2, max_size=3).map(lambda options: "[" + "|".join(options) + "]"),
            several,
        )

    piece = st.recursive(run, nest, max_leaves=8)
    pieces = draw(st.lists(st.tuples(piece, st.sampled_from(BETWEEN)), max_size=4))
    return "".join(text + joint for text, joint in pieces) + draw(st.sampled_from(ENDS))


hostile = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)


def anything(random: Random) -> str:
    """As `likely` and `hostile` together, drawn fast from a seed: for many thousands of cases."""
    if random.random() < 0.5:
        return "".join(random.choice(FRAGMENTS) for _ in range(random.randint(1, 12)))
    pieces = [_piece(random, 3) + random.choice(BETWEEN) for _ in range(random.randint(1, 3))]
    return "".join(pieces) + random.choice(ENDS)


def _piece(random: Random, depth: int) -> str:
    form = random.choice(FORMS) if depth else ""
    if not form:
        return "".join(random.choice(WORDS) + random.choice(SPACES) for _ in range(random.randint(0, 3)))
    inside = ["".join(_piece(random, depth - 1) for _ in range(random.randint(0, 2))) for _ in range(3)]
    return form.format(*inside, number=random.choice(NUMBERS), when=random.choice(WHENS))
