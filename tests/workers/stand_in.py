"""A small WebUI over real HTTP, which paints: its API as far as workers ask for it, and any fault of it."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from prompt_pins.host import Recipe
from prompt_pins.workers.api import decoded, encoded

from tests.run.painter import SIDE, Painter

PLAIN = ["Euler a", "DPM++ 2M"]
TREES = [f"{name} - Hyperbatch" for name in PLAIN]
Answer = tuple[int, Any]


class StandIn:
    """One WebUI.

    fault: called with the number of each job, from 1; an answer takes the place of the images, bytes that of JSON.
    """

    def __init__(
        self,
        extension: bool = True,
        checkpoint: str = "painted",
        auth: str = "",
        fault: Callable[[int], Answer | None] = lambda job: None,
        pause: float = 0.0,
        extra: dict[str, Any] | None = None,
    ) -> None:
        self.auth, self.fault, self.pause, self.jobs, self.asked = auth, fault, pause, 0, list[dict[str, Any]]()
        self.lock = threading.Lock()
        self.options: dict[str, Any] = {"sd_checkpoint_hash": "f00d" * 16, "sd_vae": "Automatic"}
        self.options |= {"sd_model_checkpoint": f"{checkpoint}.safetensors [f00df00d]", "emphasis": "Original"}
        self.paths: dict[str, Any] = {
            "samplers": [{"name": name, "aliases": []} for name in PLAIN + (TREES if extension else [])],
            "schedulers": [{"name": name.lower(), "label": name} for name in ("Automatic", "Karras")],
            "embeddings": {"loaded": {"charm": {}}, "skipped": {}},
            "loras": [{"name": "faded", "alias": "Faded"}],
            "memory": {"ram": {}, "cuda": {"system": {"total": 24 * 2**30}}},
            **(extra or {}),
        }
        if extension:
            self.options |= {"prompt_pins_fork_policy": "twin", "prompt_pins_fork_strength": 2.0}

    def job(self, tab: str, body: dict[str, Any]) -> Answer:
        """An answer of txt2img or img2img."""
        with self.lock:
            self.jobs += 1
            number = self.jobs
            self.asked.append(body)
        time.sleep(self.pause)
        wrong = self.fault(number)
        if wrong is not None:
            return wrong
        kept = {name: self.options[name] for name in body["override_settings"]}
        assert all(kept[name] != value for name, value in body["override_settings"].items())
        marks = (("size", body["cfg_scale"] / 7), *((tab, 1.0) for _ in body.get("init_images", ())))
        recipe = Recipe(body["prompt"], body["negative_prompt"], marks)
        seeds = range(body["seed"], body["seed"] + body["batch_size"])
        size = np.ones((body["height"] // SIDE, body["width"] // SIDE, 1), np.uint8)
        images = [np.kron(Painter()._paint(recipe, seed), size) for seed in seeds]
        if body.get("init_images"):
            source = decoded(body["init_images"][0])[: body["height"], : body["width"]]
            images = [image // 2 + source // 2 for image in images]
        negative = f"\nNegative prompt: {body['negative_prompt']}" if body["negative_prompt"] else ""
        texts = [
            f"{body['prompt']}{negative}\nSteps: {body['steps']}, Sampler: {body['sampler_name']}, Seed: {seed}, "
            f"Size: {body['width']}x{body['height']}, Model hash: f00df00df0, Model: painted"
            for seed in seeds
        ]
        return 200, {"images": [encoded(image) for image in images], "info": json.dumps({"infotexts": texts})}


@contextlib.contextmanager
def serving(webui: StandIn, port: int = 0) -> Iterator[str]:
    """Its address.  port: 0 for any."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            name = self.path.removeprefix("/sdapi/v1/")
            found = webui.options if name == "options" else webui.paths.get(name)
            self.answer(404 if found is None else 200, found)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            tab = self.path.removeprefix("/sdapi/v1/")
            if tab in ("txt2img", "img2img"):
                self.answer(*webui.job(tab, body))
            else:
                self.answer(200, {})

        def answer(self, status: int, found: Any) -> None:
            if (
                webui.auth
                and self.headers["Authorization"] != "Basic " + base64.b64encode(webui.auth.encode()).decode()
            ):
                status, found = 401, {"detail": "Incorrect username or password"}
            data = found if isinstance(found, bytes) else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Whoever asked has gone."""

    server = Server(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
