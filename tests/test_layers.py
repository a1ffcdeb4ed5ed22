"""The rules of the house about imports and sizes, kept by walking the source."""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lib" / "prompt_pins"
FILES = sorted(PACKAGE.rglob("*.py"))
STANDARD = set(sys.stdlib_module_names) | {"__future__"}
MAX_MODULE, MAX_FUNCTION = 320, 62

# One line a room, from the lowest floor up: the rooms that it may import besides itself, then packages.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "errors": (set(), set()),
    "options": ({"errors"}, set()),
    "config": ({"errors", "options"}, set()),
    "host": ({"errors", "config"}, {"numpy"}),
    "effects": (set(), {"numpy"}),
    "store": ({"errors"}, {"numpy", "PIL"}),
    "prompt": ({"errors"}, set()),
    "merge": ({"errors"}, {"numpy", "torch", "safetensors"}),
    "space": ({"errors", "options", "config", "host", "store", "prompt", "merge"}, set()),
    "search": ({"errors", "config"}, {"numpy", "deap"}),
    "sampling": ({"errors", "config"}, {"numpy", "torch"}),
    "loss": (
        {"errors", "options", "config"},
        {
            "numpy", "torch", "PIL", "matplotlib", "flip_evaluator", "pytorch_msssim", "stlpips_pytorch", "onnxruntime",
            "transformers", "safetensors",
        },
    ),
    "headless": (
        {"errors", "config", "host", "store", "prompt", "merge", "sampling", "loss"},
        {"numpy", "torch", "safetensors", "diffusers", "ftfy", "transformers", "yaml"},
    ),
    "run": ({"errors", "config", "effects", "host", "store", "space", "search", "loss"}, {"numpy"}),
    "workers": ({"errors", "config", "host", "sampling"}, {"numpy", "PIL", "httpx2", "ray"}),
    "words": ({"errors", "options", "config", "effects", "host", "store", "space", "loss", "run"}, {"numpy"}),
    "map": (
        {"errors", "options", "config", "effects", "host", "store", "space", "search", "loss", "run"},
        {"numpy", "torch"},
    ),
    "report": (
        {"errors", "options", "config", "effects", "store", "prompt", "merge", "search"},
        {"numpy", "PIL", "matplotlib", "jinja2", "markupsafe"},
    ),
    "cli": (
        {
            "errors", "options", "config", "effects", "host", "store", "prompt", "merge", "sampling", "loss",
            "headless", "run", "workers", "words", "map", "report",
        },
        {"numpy", "torch", "typer", "rich", "tomli", "packaging"},
    ),
    "webui": (
        {
            "errors", "options", "config", "host", "store", "prompt", "merge", "sampling", "loss", "run", "words",
            "map", "report",
        },
        {"numpy", "torch", "PIL", "tqdm", "gradio", "modules", "modules_forge", "fastapi", "starlette"},
    ),
}  # fmt: skip


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
            yield from ((f"{name}.{alias.name}", node.lineno) for alias in node.names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_keep_to_the_layers(path: Path) -> None:
    own = part(path)
    if own == "__init__":
        assert {name.partition(".")[0] for name, _ in imported(path)} <= STANDARD
        return
    assert own in ALLOWED, f"{own} has no place in the layers"
    rooms, packages = ALLOWED[own]
    wrong = []
    for name, line in imported(path):
        top, _, rest = name.partition(".")
        if top == "prompt_pins":
            fine = rest.partition(".")[0] in rooms | {own, "__version__"}
        else:
            fine = top in packages or top in STANDARD
        if not fine:
            wrong.append(f"line {line}: {name}")
    assert not wrong


def test_rooms_stand_on_lower_floors_only() -> None:
    floors = list(ALLOWED)
    for room, (below, _) in ALLOWED.items():
        assert below <= set(floors[: floors.index(room)]), room


def test_no_circle_of_files() -> None:
    """Imports of any depth count, those for type checkers too."""
    names = {".".join(("prompt_pins", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in FILES}
    modules = {name.removesuffix(".__init__"): path for name, path in names.items()}
    graph = {
        name: {target for found, _ in imported(path) if (target := nearest(found, modules)) not in {None, name}}
        for name, path in modules.items()
    }
    with pytest.raises(graphlib.CycleError):
        tuple(graphlib.TopologicalSorter({"a": {"b"}, "b": {"a"}}).static_order())
    tuple(graphlib.TopologicalSorter(graph).static_order())


def nearest(name: str, modules: Mapping[str, Path]) -> str | None:
    """The module that a dotted name lies in; None for one of no file of ours."""
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def test_the_schedule_needs_only_the_standard_library() -> None:
    names = {name for name, _ in imported(PACKAGE / "sampling" / "schedule.py")}
    ours = {name for name in names if name.partition(".")[0] not in STANDARD}
    assert {name.split(".")[1] for name in ours} <= {"errors", "config"}


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
    names = {name for name, _ in imported(path)}
    assert not [name for name in names for bad in banned if f"{name}.".startswith(f"{bad}.")]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec", "print"}
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
            assert "weights_only=True" in ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_assertions_tell_types_and_check_nothing(path: Path) -> None:
    """`python -O` leaves them out, and a stranger's input must not be told what is wrong by a traceback."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assert):
            parts = node.test.values if isinstance(node.test, ast.BoolOp) else [node.test]
            said = [ast.unparse(part) for part in parts]
            assert all(one.endswith(" is not None") or one.startswith("isinstance(") for one in said), node.lineno


def test_lib_and_scripts_are_no_packages() -> None:
    root = PACKAGE.parents[1]
    assert not (root / "lib" / "__init__.py").exists()
    assert not (root / "scripts" / "__init__.py").exists()
