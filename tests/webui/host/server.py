"""The stand-in as a process: a page of gradio's and the host's API, with this extension loaded as the host loads it.

python tests/webui/host/server.py PORT
"""

from __future__ import annotations

import base64
import importlib.util
import io
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path[:0] = [str(HERE), str(ROOT), str(ROOT / "lib")]

import huggingface_hub  # noqa: E402

if not hasattr(huggingface_hub, "HfFolder"):
    # gradio 4.40 imports this name, which only its login uses and later versions lack
    huggingface_hub.HfFolder = object

import gradio as gr  # noqa: E402
import networks  # noqa: E402, F401
from fastapi import Body, FastAPI, HTTPException  # noqa: E402
from modules import processing, script_callbacks, scripts, sd_samplers, shared  # noqa: E402
from modules.model import Model  # noqa: E402
from PIL import Image  # noqa: E402

LOCK = threading.Lock()
JOBS = {"txt2img": processing.StableDiffusionProcessingTxt2Img, "img2img": processing.StableDiffusionProcessingImg2Img}


def load_scripts() -> None:
    """The extension's script and its neighbours; a script's module is not left in `sys.modules`."""
    scripts.scripts_data.clear()
    own = [] if os.environ.get("STAND_IN_BARE") else [ROOT / "scripts" / "prompt_pinning.py"]
    for path in (*own, HERE / "extension" / "neighbours.py"):
        spec = importlib.util.spec_from_file_location(path.name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, scripts.Script):
                scripts.scripts_data.append(scripts.ScriptData(value, module))
    scripts.scripts_data.append(scripts.ScriptData(scripts.Neighbour, module))


def build_page() -> tuple[Any, dict[str, tuple[Any, list[Any]]]]:
    """(the page, of each tab its scripts and their default arguments)."""
    script_callbacks.call("before_ui")
    script_callbacks.call("ui_settings")
    runners = {}
    with gr.Blocks(title="stand-in") as page:
        for tab in JOBS:
            runner = scripts.ScriptRunner(tab == "img2img")
            with gr.Tab(tab):
                runners[tab] = (runner, runner.build())
    tabs = [entry for answer in script_callbacks.call("ui_tabs") for entry in answer]
    with page:
        for blocks, title, name in tabs:
            with gr.Tab(title, elem_id=f"tab_{name}"):
                blocks.render()
    return page, runners


def decoded(text: str) -> Image.Image:
    """An image of a request."""
    return Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text)))


def encoded(image: Image.Image) -> str:
    """An image of an answer."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


def rendered(tab: str, runner: Any, defaults: list[Any], request: dict[str, Any]) -> dict[str, Any]:
    """One job of the API."""
    name, given = request.pop("script_name", None), request.pop("script_args", [])
    beside = request.pop("alwayson_scripts", {})
    if request.get("sampler_name", "Euler") not in sd_samplers.all_samplers_map:
        raise HTTPException(400, "Sampler not found")
    for key in ("init_images", "mask"):
        value = request.get(key)
        request[key] = [decoded(one) for one in value] if isinstance(value, list) else value and decoded(value)
    with LOCK:
        p = JOBS[tab](**{key: value for key, value in request.items() if value is not None})
        p.is_api, p.scripts, p.script_args = True, runner, list(defaults)
        p.outpath_samples = getattr(shared.opts, f"outdir_{tab}_samples")  # whatever outdir_samples says
        for script in runner.alwayson_scripts:
            values = beside.get(script.title().lower(), {}).get("args", [])
            p.script_args[script.args_from : script.args_from + len(values)] = values
        shared.state.begin(f"scripts_{tab}")
        try:
            if name:
                script = next((one for one in runner.selectable_scripts if one.title().lower() == name.lower()), None)
                if script is None:
                    raise HTTPException(422, f"Script '{name}' not found")
                p.script_args[0] = runner.selectable_scripts.index(script) + 1
                p.script_args[script.args_from : script.args_to] = given
                processed = runner.run(p, *p.script_args)
            else:
                processed = processing.process_images(p)
        finally:
            shared.state.end()
    return {"images": [encoded(image) for image in processed.images], "parameters": {}, "info": processed.js()}


def add_api(app: FastAPI, runners: dict[str, tuple[Any, list[Any]]]) -> None:
    """The host's own routes, as far as the tests ask for them."""

    def flag(name: str) -> Any:
        return lambda: setattr(shared.state, name, True)

    def job(tab: str) -> Any:
        def answer(request: dict = Body(...)) -> dict[str, Any]:  # noqa: B008
            return rendered(tab, *runners[tab], request)

        return answer

    def configure(values: dict = Body(...)) -> None:  # noqa: B008
        for key, value in values.items():
            shared.opts.set(key, value)
        shared.opts.save()

    def settings() -> dict[str, Any]:
        return {name: getattr(shared.opts, name) for name in (*shared.opts.data_labels, *shared.opts.data)}

    def progress() -> dict[str, Any]:
        names = ("job", "job_count", "job_no", "sampling_step", "interrupted", "skipped")
        state = {name: getattr(shared.state, name) for name in names}
        return {"progress": 0.0, "state": state, "textinfo": shared.state.textinfo}

    for tab in JOBS:
        app.add_api_route(f"/sdapi/v1/{tab}", job(tab), methods=["POST"])
    app.add_api_route("/sdapi/v1/interrupt", flag("interrupted"), methods=["POST"])
    app.add_api_route("/sdapi/v1/skip", flag("skipped"), methods=["POST"])
    app.add_api_route("/sdapi/v1/progress", progress, methods=["GET"])
    app.add_api_route("/sdapi/v1/options", settings, methods=["GET"])
    app.add_api_route("/sdapi/v1/options", configure, methods=["POST"])
    app.add_api_route("/sdapi/v1/samplers", lambda: [{"name": s.name} for s in sd_samplers.samplers], methods=["GET"])


def main() -> None:
    """Serve until the process is ended."""
    shared.sd_model = Model()
    load_scripts()
    page, runners = build_page()
    app, _, _ = page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]), prevent_thread_lock=True, quiet=True)
    add_api(app, runners)
    script_callbacks.call("app_started", page, app)
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
