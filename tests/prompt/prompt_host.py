"""The host's own parser, from a real WebUI checkout named by the environment variable PROMPT_PINS_WEBUI.

Only four of its functions are needed, and they are loaded without the rest of the WebUI.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import types
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.prompt.prompt_oracle import HostStops, Reading, Tokenize, chunks

ROOT = os.environ.get("PROMPT_PINS_WEBUI")


class Host:
    """Reads prompts as `prompt_oracle.read` does, by the host's own code; chunks are cut by the oracle."""

    def __init__(self, root: str) -> None:
        modules = Path(root) / "modules"
        self.module = _executed(modules / "prompt_parser.py", {"torch": types.ModuleType("torch")})
        self.parser = vars(self.module)
        self.strip = _functions(modules / "processing_scripts" / "comments.py", {"strip_comments"})["strip_comments"]
        wanted = {"parse_prompt", "ExtraNetworkParams", "re_extra_net"}
        self.networks = _functions(modules / "extra_networks.py", wanted)["parse_prompt"]

    def read(
        self,
        text: str,
        tokenize: Tokenize,
        negative: bool = False,
        steps: int = 5,
        embeddings: tuple[str, ...] = (),
    ) -> Reading:
        text = self.strip(text)
        reading = Reading()
        names = sorted((tokenize(name) for name in embeddings), key=len, reverse=True)
        weighted = [(1.0, text)]
        if not negative:
            text, found = self.networks(text)
            reading.networks = [(net, *params.items) for net, many in found.items() for params in many]
            indexes, flat, _ = self.parser["get_multicond_prompt_list"]([text])
            weighted = [(weight, flat[index]) for index, weight in indexes[0]]
        for weight, part in weighted:
            schedule = []
            for step, moment in self.parser["get_learned_conditioning_prompt_schedules"]([part], steps)[0]:
                try:
                    texts = [(piece, by) for piece, by in self.parser["parse_prompt_attention"](moment)]
                except ValueError as error:
                    raise HostStops(str(error)) from None
                schedule.append((step, chunks(texts, tokenize, [name for name in names if name])))
            reading.parts.append((weight, schedule))
        return reading


def _executed(path: Path, stand_ins: dict[str, types.ModuleType]) -> types.ModuleType:
    kept = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        executed = types.ModuleType(path.stem)
        exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), vars(executed))
    finally:
        for name, module in kept.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module
    return executed


def _functions(path: Path, wanted: set[str]) -> dict[str, Any]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {"re": re, "defaultdict": defaultdict}
    for node in tree.body:
        named = {getattr(node, "name", None)} | {getattr(t, "id", None) for t in getattr(node, "targets", ())}
        if named & wanted:
            exec(compile(ast.Module([node], []), str(path), "exec"), names)
    return names
