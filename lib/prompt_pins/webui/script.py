"""The script "Prompt pinning" of txt2img and img2img."""

from __future__ import annotations

import importlib.util
import logging
from typing import Any

import modules.scripts as scripts
from modules import processing

from ..errors import PinError
from . import compat, infotext, ui
from .refusals import in_words, status

log = logging.getLogger(__name__)


class PromptPinning(scripts.Script):
    """Selectable in both tabs; the host gives each its own instance."""

    def title(self) -> str:
        """The name in the list of scripts, in the API and in infotexts."""
        return infotext.TITLE

    def show(self, is_img2img: bool) -> bool:
        """In both tabs."""
        return True

    def ui(self, is_img2img: bool) -> list[Any]:
        """The controls, in the order of the API's positional arguments."""
        controls, self.infotext_fields = ui.build(self.elem_id, is_img2img)
        return controls

    def run(self, p: Any, *values: Any) -> Any:
        """Pin the job's prompt.  A run that cannot be is one message: an error of the API, or a line of the result."""
        try:
            return _run_job()(p, values, self._given(p, values), self.is_img2img)
        except Exception as error:
            log.info("there is no run: %s", error, exc_info=not isinstance(error, PinError))
            said = f"Prompt pinning: {in_words(error)}"
            if compat.is_api(p):
                from fastapi import HTTPException

                raise HTTPException(status(error), said) from error
            compat.comment(p, said)
            return processing.Processed(p, [], seed=p.seed, info="")

    def _given(self, p: Any, values: tuple[Any, ...]) -> int:
        """How many of the values are the caller's: the API puts them into a longer list, whatever their number."""
        every = getattr(getattr(p, "scripts", None), "scripts", None) or [self]
        expected = max((script.args_to or 0) for script in every)
        whole = getattr(p, "script_args", None)
        own = (self.args_to or 0) - (self.args_from or 0)
        return own + len(whole) - expected if isinstance(whole, (list, tuple)) and own else len(values)


def _run_job() -> Any:
    """The runner.  It is imported here, so that the samplers and the page work without the search's package."""
    if importlib.util.find_spec("deap") is None:
        raise PinError("the package deap is missing: start the WebUI once without --skip-install")
    from .runner import run_job

    return run_job
