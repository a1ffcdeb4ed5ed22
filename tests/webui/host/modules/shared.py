"""State, settings and command line of the stand-in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from .styles import StyleDatabase

CONFIG = Path("config.json")


class OptionInfo:
    """One setting."""

    def __init__(self, default: Any, label: str = "", component: Any = None, component_args: Any = None,
                 section: Any = None, infotext: str | None = None) -> None:  # fmt: skip
        self.default, self.label, self.component, self.component_args = default, label, component, component_args
        self.section, self.infotext = section, infotext

    def info(self, text: str) -> OptionInfo:
        """A remark beside the label."""
        self.label += f" ({text})"
        return self


class Options:
    """Settings by name; unknown names are attribute errors, as in the host.

    data: what its file holds, which on a fresh host is none of its own settings.
    """

    def __init__(self, defaults: dict[str, Any]) -> None:
        self.data: dict[str, Any] = json.loads(CONFIG.read_text()) if CONFIG.is_file() else {}
        self.data_labels = {name: OptionInfo(value, name) for name, value in defaults.items()}

    def add_option(self, name: str, option: OptionInfo) -> None:
        """One more setting."""
        self.data_labels[name] = option
        self.data.setdefault(name, option.default)

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("data", {}):
            return self.data[name]
        if name in self.__dict__.get("data_labels", {}):
            return self.data_labels[name].default
        raise AttributeError(name)

    def set(self, name: str, value: Any) -> None:
        """Raises KeyError for a setting that there is not."""
        self.data_labels[name]
        self.data[name] = value

    def save(self) -> None:
        """As its file."""
        CONFIG.write_text(json.dumps(self.data, indent=4))


class State:
    """What the running job tells the page."""

    def __init__(self) -> None:
        self.job, self.textinfo = "", None
        self.interrupted = self.skipped = self.stopping_generation = False
        self.job_count, self.job_no, self.sampling_step = 0, 0, 0
        self.current_image: Any = None

    def begin(self, job: str) -> None:
        """A new job; what was asked of the last one is forgotten."""
        self.__init__()  # type: ignore[misc]
        self.job, self.job_count = job, -1

    def end(self) -> None:
        """The job is over."""
        self.job, self.job_count = "", 0

    def nextjob(self) -> None:
        """A batch is done."""
        self.job_no += 1
        self.sampling_step = 0

    def assign_current_image(self, image: Any) -> None:
        """The live preview."""
        self.current_image = image


OUTPUTS = os.environ.get("STAND_IN_OUTPUTS", "outputs")
MODELS = os.environ.get("STAND_IN_MODELS", "models")
opts = Options({
    "outdir_samples": "",
    "outdir_txt2img_samples": f"{OUTPUTS}/txt2img", "outdir_img2img_samples": f"{OUTPUTS}/img2img",
    "samples_format": "png", "sd_model_checkpoint": "prompt-pins-embedded", "img2img_fix_steps": False,
    "live_previews_enable": True, "show_progress_every_n_steps": 10, "return_mask": False, "emphasis": "Original",
    "overlay_inpaint": True, "img2img_background_color": "#ffffff",
})  # fmt: skip
opts.add_option("CLIP_stop_at_last_layers", OptionInfo(1, "Clip skip", infotext="Clip skip"))
state = State()
cmd_opts = SimpleNamespace(api_auth=os.environ.get("STAND_IN_API_AUTH"), gradio_auth=None,
                           no_prompt_history=not os.environ.get("STAND_IN_DATA"))  # fmt: skip
prompt_styles = StyleDatabase()
styles_filename = "styles.csv"
total_tqdm = SimpleNamespace(updateTotal=lambda total: None, update=lambda: None, clear=lambda: None)
sd_model: Any = None
