"""Other extensions that are always on and what they make of prompts and seeds.

Those that expand templates are asked once, before a run, and are left out of its batches: they would expand each
anew, and write their own seeds over the run's.  All others take part in every batch.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from ..errors import OptionError
from . import compat

EXPANDERS = ("dynamic prompts", "simple wildcards")
"""How their titles begin, in small letters."""
TEMPLATE = re.compile(r"[{}]|__")
"""What is in every template of theirs."""
REWRITTEN = (
    "Prompt pinning: another extension writes prompts or seeds of its own into the batches, so the search may see "
    "nothing of its weights: switch it off"
)


def expanded(p: Any, positive: str, negative: str) -> tuple[str, str]:
    """Both prompts of a job, their templates expanded for its first seed; the job says so.  Raises `OptionError`."""
    for script in _expanders(p):
        title = str(script.title())
        made = _made(p, script, title, positive, negative)
        for before, after in zip((positive, negative), made, strict=True):
            if before != after:
                compat.comment(p, f"Prompt pinning: {title} expanded the template once, before the run, to: {after}")
        positive, negative = made
    return positive, negative


def _made(p: Any, script: Any, title: str, positive: str, negative: str) -> tuple[str, str]:
    """What one extension makes of the prompts of a batch of one image."""
    probe = compat.fresh_copy(p)
    probe.prompt, probe.negative_prompt, probe.styles = positive, negative, []
    probe.batch_size = probe.n_iter = 1
    probe.all_prompts, probe.all_negative_prompts = [positive], [negative]
    probe.all_seeds, probe.all_subseeds = [int(p.seed)], [int(p.subseed)]
    try:
        script.process(probe, *p.script_args[script.args_from : script.args_to])
        return str(probe.all_prompts[0]), str(probe.all_negative_prompts[0])
    except Exception as error:  # somebody else's code
        reason = f"{type(error).__name__}: {error}"
        if TEMPLATE.search(positive + negative):
            raise OptionError("prompt", positive, f"a template that {title} can expand ({reason})") from error
        compat.comment(p, f"Prompt pinning: {title} failed and has no part in the run ({reason})")
        return positive, negative


def prepare(q: Any) -> None:
    """A batch's job: without the extensions that expand templates, its seeds as the host itself gives them.

    Seeds that follow on each other are one number: a list is allowed, but many an extension does not know it.
    """
    left_out = _expanders(q)
    if left_out:
        runner = copy.copy(q.scripts)
        runner.alwayson_scripts = [script for script in runner.alwayson_scripts if script not in left_out]
        runner.callback_map = {}  # who is called when, as the host remembers it
        q.scripts = runner
    if isinstance(q.seed, list) and isinstance(q.subseed, list):
        step = 0 if q.subseed_strength else 1
        if _row(q.seed, step) and _row(q.subseed, 1):
            q.seed, q.subseed = q.seed[0], q.subseed[0]


def rewritten(q: Any, prompt: str, seeds: Sequence[int]) -> bool:
    """True if a rendered batch had other prompts or seeds than it was given.  The host itself drops comments."""
    given = _without_comments(prompt)
    own = q.all_subseeds if q.subseed_strength else q.all_seeds
    return list(own) != list(seeds) or any(_without_comments(text) != given for text in q.all_prompts)


def _expanders(p: Any) -> list[Any]:
    scripts = getattr(getattr(p, "scripts", None), "alwayson_scripts", None) or []
    return [script for script in scripts if str(script.title()).lower().startswith(EXPANDERS)]


def _row(numbers: Sequence[int], step: int) -> bool:
    return all(number == numbers[0] + step * index for index, number in enumerate(numbers))


def _without_comments(text: str) -> str:
    return " ".join(re.sub("#[^\n]*", " ", text).split())
