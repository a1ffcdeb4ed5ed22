"""The rules of the house about imports and sizes, kept by walking the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lib" / "prompt_pins"
FILES = sorted(PACKAGE.rglob("*.py"))
STANDARD = set(sys.stdlib_module_names) | {"__future__"}
MAX_MODULE, MAX_FUNCTION = 320, 62

# What each part may import besides the standard library: parts of the project, then packages.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "options": ({"errors"}, set()),
    "config": ({"errors", "options", "config"}, set()),
    "seeds": (set(), set()),
    "host": ({"config"}, {"numpy"}),
    "events": ({"store"}, {"numpy"}),
    "prompt": ({"errors", "options", "config", "prompt"}, {"numpy"}),
    "search": ({"errors", "options", "config", "search"}, {"numpy", "deap"}),
    "sampling": ({"errors", "options", "config", "sampling"}, {"numpy", "torch"}),
    "loss": (
        {"errors", "options", "config", "loss"},
        {"numpy", "torch", "PIL", "matplotlib", "flip_evaluator", "pytorch_msssim", "stlpips_pytorch"},
    ),
    "store": ({"errors", "store"}, {"numpy", "PIL"}),
    "report": (
        {"errors", "options", "config", "events", "notations", "store", "surface", "report"},
        {"numpy", "PIL", "matplotlib", "jinja2", "markupsafe"},
    ),
    "effects": (set(), {"numpy"}),
    "analyze": (
        {"config", "effects", "errors", "host", "loss", "plan", "prompt", "scoring", "seeds", "store", "targets"},
        {"numpy"},
    ),
    "notations": ({"errors", "prompt", "store"}, set()),
    "beginning": ({"config", "contest", "errors", "prompt", "search", "store"}, {"numpy"}),
    "contest": ({"config", "store"}, {"numpy"}),
    "surface": ({"store"}, {"numpy"}),
    "plan": ({"config", "host", "prompt"}, set()),
    "targets": ({"config", "errors", "host", "loss", "store"}, {"numpy"}),
    "scoring": ({"config", "errors", "host", "loss", "plan", "prompt", "store"}, {"numpy"}),
    "pin": (
        {
            "beginning", "config", "contest", "errors", "events", "host", "plan", "prompt", "scoring", "search",
            "seeds", "store", "surface", "targets",
        },
        {"numpy"},
    ),
}  # fmt: skip
ANYWHERE = {"prompt_pins"}
ONLY_THERE = {
    "webui": {"gradio", "modules", "modules_forge", "fastapi", "starlette"},
    "headless": {"diffusers", "transformers", "accelerate", "typer", "rich", "yaml", "tomli"},
}


def part(path: Path) -> str:
    """The part of the house that a file belongs to: its folder, or its own name at the top."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Dotted names of all imports in a file, at any depth, relative ones made absolute; and their lines."""
    package = ("prompt_pins", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(filter(None, (base, node.module)))
            if name == "prompt_pins":
                yield from ((f"prompt_pins.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield name, node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_to_the_layers(path: Path) -> None:
    own = part(path)
    wrong = []
    for name, line in imported(path):
        top, _, rest = name.partition(".")
        if top in STANDARD:
            continue
        if own in ALLOWED:
            parts, packages = ALLOWED[own]
            fine = rest.partition(".")[0] in parts if top == "prompt_pins" else top in packages
        else:
            fine = all(top not in names for place, names in ONLY_THERE.items() if place != own)
        if not fine:
            wrong.append(f"line {line}: {name}")
    assert own in ALLOWED or own in ONLY_THERE or own == "__init__", f"{own} has no place in the layers"
    assert not wrong


def test_the_schedule_needs_only_the_standard_library() -> None:
    names = {name for name, _ in imported(PACKAGE / "sampling" / "schedule.py")}
    assert {name for name in names if name.partition(".")[0] not in STANDARD} <= {
        "prompt_pins.errors",
        "prompt_pins.config",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MAX_MODULE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno <= MAX_FUNCTION, node.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_pickle_no_eval_no_network(path: Path) -> None:
    banned = {"pickle", "marshal", "shelve", "dill", "requests", "urllib.request", "httpx", "socket"}
    assert not banned & {name for name, _ in imported(path)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "print"}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(node)


def test_lib_and_scripts_are_no_packages() -> None:
    root = PACKAGE.parents[1]
    assert not (root / "lib" / "__init__.py").exists()
    assert not (root / "scripts" / "__init__.py").exists()
