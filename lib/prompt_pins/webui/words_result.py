"""What the host shows and returns of measured words: the prompt as a heat of its words, with what they do."""

from __future__ import annotations

from typing import Any

from modules import processing

from ..errors import HostError, PinError
from ..report import draw_heat
from ..report.measured import told
from ..store import Record, RunFolder
from . import compat, infotext
from .pictures import opened
from .refusals import RunFailed, in_words


def result(p: Any, folder: RunFolder, failure: Exception | None) -> tuple[Any, dict[str, Any]]:
    """The `Processed` of an analysis, and what an answer of the API tells of it besides.

    Raises `RunFailed` where no word was measured because of a fault.
    """
    record = folder.record()
    if not record.words and (failure or not compat.stopping()):
        fault = failure or HostError(record.reason)
        raise RunFailed(folder.path.name, fault, record.state != "finished") from failure
    state = f"failed: {in_words(failure)}" if failure else f"{record.state}: {record.reason}"
    compat.comment(p, f"Prompt pins analysis {folder.path.name}: {state}; its page is in the tab Prompt pins")
    found: dict[str, Any] = {"words": [], "sentences": []}
    images: list[Any] = []
    if record.words:
        found = told(folder.path)
        for sentence in found["sentences"]:
            compat.comment(p, sentence)
        try:
            images.append(opened(draw_heat(folder.path)))
        except PinError as error:
            compat.comment(p, str(error))
    return processed(p, folder, record, images), found


def processed(p: Any, folder: RunFolder, record: Record, images: list[Any]) -> Any:
    """The `Processed` of a task that pins nothing: these images, with the infotext that begins it again."""
    text = infotext.again(folder, record)
    if compat.batch_count(p) > 1:
        compat.comment(p, "Prompt pinning: batch count was ignored; the task sets the number of batches")
    seed = int(record.config.get("seed", p.seed))
    count = max(1, len(images))
    return processing.Processed(
        p,
        images,
        seed=seed,
        info=text,
        all_prompts=[str(record.config.get("prompt", p.prompt))] * count,
        all_negative_prompts=[str(record.config.get("negative_prompt", p.negative_prompt))] * count,
        all_seeds=[seed] * count,
        all_subseeds=[p.subseed] * count,
        infotexts=[text] * count,
    )
