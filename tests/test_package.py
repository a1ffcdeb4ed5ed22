"""What a user installs: the wheel holds all that a run needs, and it runs elsewhere and without a network."""

from __future__ import annotations

import email.parser
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest
import tomllib
from prompt_pins import __version__

ROOT = Path(__file__).parents[1]
SOURCES = ("lib", "pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE", "docs/licences.md")
SKIPPED = shutil.ignore_patterns("__pycache__", "*.egg-info")
REFUSED = 99
REACHING = {
    f"socket.{name}" for name in ("connect", "getaddrinfo", "gethostbyname", "gethostbyaddr", "sendto", "sendmsg")
}
GUARD = f"""
import os, sys

def guard(event, arguments):
    if event in {REACHING}:
        sys.stderr.write(f"{{event}} {{arguments[-1]}}\\n")
        sys.stderr.flush()
        os._exit({REFUSED})

sys.addaudithook(guard)
"""


def built(kind: str, source: Path, to: Path) -> Path:
    """The sdist or wheel of a source folder, as a build front end makes it without isolation."""
    to.mkdir(exist_ok=True)
    call = f"from setuptools import build_meta; build_meta.build_{kind}(sys.argv[1])"
    command = [sys.executable, "-c", f"import sys; {call}", str(to)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (made,) = to.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=SKIPPED)
        else:
            (source / name).parent.mkdir(exist_ok=True)
            shutil.copy2(ROOT / name, source / name)
    return built("sdist", source, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the sdist, as `python -m build` makes it."""
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(unpacked, filter="data")
    return built("wheel", unpacked / f"prompt_pins-{__version__}", tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    lib = ROOT / "lib"
    ours = {
        path.relative_to(lib).as_posix(): path.read_bytes()
        for path in (lib / "prompt_pins").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}
    about = f"prompt_pins-{__version__}.dist-info/"
    assert {name: data for name, data in held.items() if not name.startswith(about)} == ours
    for name in (
        "prompt-pins-embedded.safetensors",
        "prompt-pins-embedded.yaml",
        "bpe_simple_vocab_16e6.txt.gz",
        "bpe_simple_vocab_16e6.LICENSE.txt",
        "loras/prompt-pins-faded.safetensors",
    ):
        assert f"prompt_pins/headless/embedded/{name}" in held
    for name in ("LICENSE", "docs/licences.md"):
        assert held[f"{about}licenses/{name}"] == (ROOT / name).read_bytes()
    metadata = email.parser.BytesParser().parsebytes(held[about + "METADATA"])
    assert (metadata["Name"], metadata["Version"]) == ("prompt-pins", __version__)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(metadata.get_all("Provides-Extra") or ()) == set(wanted["optional-dependencies"])
    assert b"prompt-pins = prompt_pins.cli.main:main" in held[about + "entry_points.txt"]


def test_the_sdist_holds_no_tests(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        tops = {name.split("/")[1] for name in archive.getnames() if "/" in name}
    assert tops == {*(name.split("/")[0] for name in SOURCES), "setup.cfg", "PKG-INFO"}


@pytest.fixture(scope="module")
def place(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, this one's packages after its own, and a Python that reaches no host."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin/python")]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", str(wheel)], env=bare(), check=True)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (packages / "sitecustomize.py").write_text(GUARD)
    return place


def bare() -> dict[str, str]:
    """This environment without the paths in it: a checkout on them would count as installed."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def run(place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(place / "bin" / words[0]), *words[1:]], cwd=place, env=bare(),
                          capture_output=True, text=True)  # fmt: skip


def test_the_guard_ends_a_program_that_asks_for_a_host(place: Path) -> None:
    done = run(place, "python", "-c", "import socket\ntry: socket.getaddrinfo('localhost', 80)\nfinally: print('on')")
    assert (done.returncode, done.stdout) == (REFUSED, "")


def test_the_installed_command_pins_without_a_network(place: Path) -> None:
    done = run(place, "python", "-c", "import prompt_pins; print(prompt_pins.__file__)")
    assert Path(done.stdout.strip()).is_relative_to(place)
    done = run(place, "prompt-pins", "--version")
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")
    done = run(place, "prompt-pins", "doctor", "--out", "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    size = ("--steps", "2", "--batch-size", "2", "--generations", "2", "--held-out", "2", "--contest-seeds", "2")
    done = run(place, "prompt-pins", "pin", "red blue", *size, "--out", "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pinned prompt: " in done.stdout or "original prompt: " in done.stdout  # two generations may find nothing
    (place / "runs/00000000/index.html").unlink()
    done = run(place, "prompt-pins", "report", "0", "--out", "runs")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "red" in (place / "runs/00000000/index.html").read_text("utf-8")
