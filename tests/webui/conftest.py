"""A real WebUI for the tests of this folder, where `PROMPT_PINS_WEBUI` names its folder.

The folder holds a WebUI that has this extension (linked into `extensions/`), its own `venv`, or a Python that
`PROMPT_PINS_WEBUI_PYTHON` names, and a checkpoint.  `PROMPT_PINS_WEBUI_URL` names one that is running already.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.webui.real import Webui

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
    "--no-hashing",
]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Webui]:
    """The real host; tests that need it are skipped where there is none."""
    root = os.environ.get("PROMPT_PINS_WEBUI")
    if not root:
        pytest.skip("PROMPT_PINS_WEBUI names no WebUI")
    running = os.environ.get("PROMPT_PINS_WEBUI_URL")
    if running:
        yield Webui(running.rstrip("/"), Path(root))
        return
    python = os.environ.get("PROMPT_PINS_WEBUI_PYTHON", str(Path(root) / "venv" / "bin" / "python"))
    port = _free_port()
    log = tmp_path_factory.mktemp("webui") / "log.txt"
    with log.open("wb") as out:
        command = [python, "launch.py", *FLAGS, "--port", str(port)]
        server = subprocess.Popen(command, cwd=root, stdout=out, stderr=subprocess.STDOUT)
        try:
            host = Webui(f"http://127.0.0.1:{port}", Path(root))
            _wait(host, server, log)
            yield host
        finally:
            server.terminate()
            server.wait(30)


def _wait(host: Webui, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert server.poll() is None, log.read_text(errors="replace")[-4000:]
        try:
            if host.call("/prompt-pins/v1/options", timeout=5)[0] == 200:
                return
        except OSError:
            time.sleep(1)
    raise AssertionError("the WebUI did not come up: " + log.read_text(errors="replace")[-4000:])
