"""The WebUI of this folder's tests: a real one where `PROMPT_PINS_WEBUI` names its folder, else the stand-in.

The folder holds a WebUI that has this extension (linked into `extensions/`), its own `venv`, or a Python that
`PROMPT_PINS_WEBUI_PYTHON` names, and a checkpoint; the refiner's test wants a second one.  `PROMPT_PINS_WEBUI_URL`
names a WebUI that is running already.  The stand-in is started with the tests' own Python, if that has gradio.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from prompt_pins.headless.checkpoint import EMBEDDED
from safetensors.torch import save_file

from tests.headless.tiny import make, write_beside
from tests.patience import HUNG
from tests.webui.client import Webui
from tools import bake_lora

Server = subprocess.Popen[bytes]
STAND_IN = Path(__file__).parent / "host" / "server.py"
FLAGS = [
    "--skip-prepare-environment",
    "--skip-torch-cuda-test",
    "--use-cpu",
    "all",
    "--precision",
    "full",
    "--no-half",
    "--no-half-vae",
    "--api",
    "--no-download-sd-model",
    "--skip-version-check",
    "--disable-console-progressbars",
]


@contextlib.contextmanager
def placed(webui: Webui, kind: str, refresh: str, lacks: str, place: Callable[[Path], None]) -> Iterator[Path]:
    """A folder of the tests' own below a real host's `models`, with what `place` puts there, while it lasts.

    refresh: the API's command that reads it.  Skips where it cannot be; lacks: what the stand-in does not do, in words.
    """
    if not webui.real or webui.root is None:
        pytest.skip(f"the stand-in {lacks}, and the folder of a WebUI that runs already is not known")
    folder = webui.root / "models" / kind / "pins of tests"
    folder.mkdir(parents=True, exist_ok=True)
    place(folder)
    assert webui.call(f"/sdapi/v1/{refresh}", {})[0] == 200
    yield folder
    shutil.rmtree(folder)
    webui.call(f"/sdapi/v1/{refresh}", {})


@pytest.fixture(scope="module")
def other(webui: Webui) -> Iterator[Path]:
    """A second checkpoint in a real host's list."""

    def place(folder: Path) -> None:
        save_file(bake_lora.baked(), folder / "pins-faded.safetensors")
        shutil.copy(EMBEDDED.with_suffix(".yaml"), folder / "pins-faded.yaml")

    with placed(webui, "Stable-diffusion", "refresh-checkpoints", "has one checkpoint", place) as folder:
        yield folder / "pins-faded.safetensors"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webui]:
    """The host; tests that need it are skipped where there is none."""
    root, running = os.environ.get("PROMPT_PINS_WEBUI"), os.environ.get("PROMPT_PINS_WEBUI_URL")
    folder = tmp_path_factory.mktemp("webui")
    if running:
        yield Webui(running.rstrip("/"))
    elif root:
        port = _free_port()
        with _started([_python(root), "launch.py", *FLAGS, "--port", str(port)], Path(root), folder, {}) as server:
            host = Webui(f"http://127.0.0.1:{port}", root=Path(root), log=folder / "log.txt")
            yield _answering(host, server, folder)
    elif importlib.util.find_spec("gradio") is not None:
        with stand_in(folder, {}) as host:
            yield host
    else:
        pytest.skip("there is neither a WebUI that PROMPT_PINS_WEBUI names, nor gradio for the stand-in")


@contextlib.contextmanager
def stand_in(folder: Path, settings: dict[str, str]) -> Iterator[Webui]:
    """The stand-in; `settings` are its environment."""
    (folder / "models" / "Lora").mkdir(parents=True)
    (folder / "models" / "prompt-pins-embedded.safetensors").write_bytes(b"stands for the checkpoint")
    places = {"STAND_IN_OUTPUTS": str(folder / "outputs"), "STAND_IN_MODELS": str(folder / "models")}
    places["STAND_IN_DATA"] = str(folder)
    own = {**places, "GRADIO_ANALYTICS_ENABLED": "False", **settings}
    port = _free_port()
    with _started([sys.executable, str(STAND_IN), str(port)], folder, folder, own) as server:
        yield _answering(Webui(f"http://127.0.0.1:{port}", pixels=64, real=False, root=folder), server, folder)


@contextlib.contextmanager
def fresh(folder: Path, config: str | None = None) -> Iterator[Webui]:
    """A host on which nothing was ever run, with the neighbours of `host/extension`; its log is `folder / "log.txt"`.

    config: the content of its settings' file, None for none.  A real one has its own data folder, with the checkpoints
    and the other extensions of `PROMPT_PINS_WEBUI`.  Tests that need it are skipped where hosts cannot be started.
    """
    root = os.environ.get("PROMPT_PINS_WEBUI")
    if os.environ.get("PROMPT_PINS_WEBUI_URL") or (root is None and importlib.util.find_spec("gradio") is None):
        pytest.skip("there is no WebUI that can be started anew")
    if config is not None:
        (folder / "config.json").write_text(config)
    if root is None:
        with stand_in(folder, {}) as host:
            yield host
        return
    (folder / "extensions" / "neighbours" / "scripts").mkdir(parents=True)
    (folder / "extensions" / "prompt-pinning").symlink_to(STAND_IN.parents[3])
    for other in (Path(root) / "extensions").iterdir():
        if other.is_dir() and other.resolve() != STAND_IN.parents[3].resolve():
            (folder / "extensions" / other.name).symlink_to(other.resolve())
    script = STAND_IN.parent / "extension" / "neighbours.py"
    (folder / "extensions" / "neighbours" / "scripts" / script.name).symlink_to(script)
    places = ["--data-dir", str(folder), "--ckpt-dir", str(Path(root) / "models" / "Stable-diffusion")]
    port = _free_port()
    command = [_python(root), "launch.py", *FLAGS, *places, "--port", str(port)]
    with _started(command, Path(root), folder, {}) as server:
        yield _answering(Webui(f"http://127.0.0.1:{port}"), server, folder)


@contextlib.contextmanager
def modelled(folder: Path, layout: str, flags: Sequence[str]) -> Iterator[Webui]:
    """A real host with a small checkpoint of a layout and nothing else; what it makes of prompts is in `conditionings`.

    Tests that need it are skipped where there is none to be started.
    """
    root = os.environ.get("PROMPT_PINS_WEBUI")
    if os.environ.get("PROMPT_PINS_WEBUI_URL") or root is None:
        pytest.skip("there is no real WebUI that can be started anew")
    made = make(layout, folder / "checkpoints")
    write_beside(folder / "checkpoints")
    (folder / "conditionings").mkdir()
    (folder / "extensions" / "models" / "scripts").mkdir(parents=True)
    (folder / "extensions" / "prompt-pinning").symlink_to(STAND_IN.parents[3])
    script = STAND_IN.parent / "extension" / "small_models.py"
    (folder / "extensions" / "models" / "scripts" / script.name).symlink_to(script)
    own = {"PROMPT_PINS_OPEN_CLIP": str(folder / "checkpoints" / "open_clip")}
    own["PROMPT_PINS_CONDITIONINGS"] = str(folder / "conditionings")
    (folder / "config.json").write_text('{"show_progress_type": "Approx cheap", "samples_format": "png"}')
    port = _free_port()
    places = ["--data-dir", str(folder), "--ckpt-dir", str(folder / "checkpoints"), "--port", str(port)]
    command = [_python(root), "launch.py", *FLAGS, *flags, *places]
    with _started(command, Path(root), folder, own) as server:
        host = Webui(f"http://127.0.0.1:{port}", pixels=64, root=folder, checkpoint=str(made.file))
        # a request that comes before the routes are there ends a slow host
        while server.poll() is None and "Startup time" not in (folder / "log.txt").read_text(errors="replace"):
            time.sleep(1)
        yield _answering(host, server, folder)


def _python(root: str) -> str:
    return os.environ.get("PROMPT_PINS_WEBUI_PYTHON", str(Path(root) / "venv" / "bin" / "python"))


@contextlib.contextmanager
def _started(command: list[str], place: Path, folder: Path, environment: dict[str, str]) -> Iterator[Server]:
    with (folder / "log.txt").open("wb") as out:
        server = subprocess.Popen(
            command, cwd=place, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment}
        )
        try:
            yield server
        finally:
            server.terminate()
            server.wait(HUNG)


def _answering(host: Webui, server: Server, folder: Path) -> Webui:
    """The host, once it answers.  One that asks for a login is up, too.

    A real one is asked no sooner than it says that it is up: a request between its server's start and its API's breaks
    it ("Cannot add middleware after an application has started").
    """
    log = folder / "log.txt"
    while server.poll() is None:
        with contextlib.suppress(OSError):
            up = not host.real or "Startup time: " in log.read_text(errors="replace")
            bare = "/sdapi/v1/samplers"  # a host without this extension
            if up and any(host.call(path)[0] in (200, 401) for path in ("/prompt-pins/v1/options", bare)):
                return host
        time.sleep(1)
    raise AssertionError("the WebUI did not come up: " + log.read_text(errors="replace")[-4000:])
