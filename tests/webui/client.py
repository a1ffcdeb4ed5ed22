"""A client of a running WebUI."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.patience import HUNG

SMALL = {"prompt": "a red circle on a white background", "steps": 8, "batch_size": 4}
PLAIN = {"negative_prompt": "", "seed": 5, "cfg_scale": 4, "sampler_name": "DPM++ 2M", "do_not_save_grid": True}


@dataclasses.dataclass(frozen=True)
class Webui:
    """A running WebUI.

    pixels: width and height of the tests' images.  real: it is no stand-in.  root: where its `models` are, if known.
    checkpoint: what it renders with, as the headless host names it; "": the embedded model.  log: its output's file.
    """

    url: str
    pixels: int = 128
    real: bool = True
    root: Path | None = None
    checkpoint: str = ""
    log: Path | None = None

    @property
    def size(self) -> dict[str, int]:
        """As a request gives it."""
        return {"width": self.pixels, "height": self.pixels}

    def call(self, path: str, body: Any = None, timeout: float = HUNG) -> tuple[int, Any]:
        """(status, decoded JSON) of a request; POST if there is a body."""
        return self.post(path, None if body is None else json.dumps(body), timeout)

    def post(self, path: str, body: str | None, timeout: float = HUNG) -> tuple[int, Any]:
        """As `call`, the body as it is sent."""
        data = None if body is None else body.encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                text, status = answer.read(), answer.status
        except urllib.error.HTTPError as error:
            text, status = error.read(), error.code
        return status, json.loads(text) if text.lstrip()[:1] in (b"{", b"[", b'"') else text

    def title(self, path: Path) -> str:
        """A checkpoint's title in the host's list."""
        status, found = self.call("/sdapi/v1/sd-models")
        assert status == 200
        return next(str(one["title"]) for one in found if Path(one["filename"]).samefile(path))

    def loads(self) -> list[str]:
        """The names of the checkpoints that a real host has loaded since it was started, in order."""
        assert self.log is not None
        return re.findall(r"Loading weights \[\w+\] from .*/(.+)", self.log.read_text(errors="replace"))

    def forge(self) -> bool:
        """Whether the host is Forge or one of its relatives."""
        return bool(re.search(r"Version: (f|classic)", self.render(steps=1, batch_size=1).info["infotexts"][0]))

    def render(self, tab: str = "txt2img", **values: Any) -> Rendered:
        """One job; it must succeed."""
        status, answer = self.call(f"/sdapi/v1/{tab}", {**SMALL, **self.size, **PLAIN, **values})
        assert status == 200, answer
        return Rendered([_pixels(image) for image in answer["images"]], json.loads(answer["info"]))

    def pin(self, options: Any, tab: str = "txt2img", **values: Any) -> tuple[int, Any]:
        """One job with the script; `options` is what goes into `script_args`."""
        values = {"sampler_name": "DPM++ 2M - Hyperbatch", **values}
        body = {**SMALL, **self.size, **PLAIN, **values, "script_name": "prompt pinning", "script_args": options}
        return self.call(f"/sdapi/v1/{tab}", body)

    def runs(self, **query: str) -> list[dict[str, Any]]:
        """The runs as the extension's own route lists them."""
        suffix = "&".join(f"{key}={value}" for key, value in query.items())
        status, answer = self.call(f"/prompt-pins/v1/runs?{suffix}")
        assert status == 200, answer
        found: list[dict[str, Any]] = answer["runs"]
        return found

    def journal(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """A run's journal."""
        address = f"{self.url}/prompt-pins/v1/runs/{run['tab']}/{run['run']}/journal.jsonl"
        with urllib.request.urlopen(address, timeout=HUNG) as answer:
            return [json.loads(line) for line in answer.read().decode().splitlines()]

    def picture(self, run: dict[str, Any], path: str) -> np.ndarray:
        """An image of a run's folder (H x W x 3, as int)."""
        address = f"{self.url}/prompt-pins/v1/runs/{run['tab']}/{run['run']}/{urllib.parse.quote(path)}"
        with urllib.request.urlopen(address, timeout=HUNG) as answer:
            return _opened(answer.read())


@dataclasses.dataclass(frozen=True)
class Rendered:
    """Images (H x W x 3, as int) and what the host says of them."""

    images: list[np.ndarray]
    info: dict[str, Any]


def _pixels(image: str) -> np.ndarray:
    return _opened(base64.b64decode(image))


def _opened(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as opened:
        return np.asarray(opened.convert("RGB")).astype(int)


def encoded(colour: tuple[int, int, int], size: tuple[int, int] = (128, 128)) -> str:
    """A plain image as the API takes it."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()
