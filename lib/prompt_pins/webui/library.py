"""The runs that lie below the host's output folders: what the tab and the routes show of them.

Imports nothing of the host.  Every path that is made of something a client said is checked to lie inside a run.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import OptionError, StoreError, reason
from ..report.index import FIRST, build_index
from ..report.summary import summarised
from ..store import Record, RunFolder, Runs
from ..store.folder import LOCK, has
from ..store.lock import FolderLock

SORTS = ("newest", "oldest", "best loss", "improvement")
STATES = ("all", "finished", "stopped", "interrupted", "running")
TASKS = ("all", "pin", "words", "map")
AT_REST = ("finished", "stopped")
IMAGE = re.compile(r"(p\d{2,}-)?\d{5,}-\d+\.(png|jpg|webp)")
"""An image of a candidate, or of one of its payloads."""
RECENT = 8
"""How many of a folder's runs are looked at for their pace."""


class TabRuns(Runs):
    """The runs that a tab's numbers name: in the folder where its new ones go, else in another folder of the host's.

    A new one gets a number that none of the folders has.
    """

    def __init__(self, roots: Mapping[str, Path], tab: str) -> None:
        super().__init__(roots.get("samples", roots[tab]))
        self.tab = tab
        self._others = [roots[tab], *roots.values()] if "samples" in roots else []

    def numbers(self) -> list[int]:
        """Those of all folders."""
        return sorted({*super().numbers(), *(number for root in self._others for number in _numbers(root))})

    def find(self, name: str) -> RunFolder:
        """As in one folder."""
        try:
            return super().find(name)
        except StoreError:
            for root in self._others:
                with contextlib.suppress(StoreError):
                    return Runs(root).find(name)
            raise

    def names(self, folder: RunFolder) -> bool:
        """Whether its number means this run, and not another one of that number."""
        return os.path.realpath(self.find(folder.path.name).path) == os.path.realpath(folder.path)


def tab_of(place: str, record: Record) -> str:
    """The tab that made a run: by what the run says itself, as both tabs may share a folder; else by its place."""
    redrawn = record.host.get("image_to_image", place == "img2img")
    return "img2img" if redrawn else "txt2img"


class Library:
    """All runs of one or more folders, by their place: a tab ("txt2img", "img2img") or "samples", which is both's."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.roots = dict(roots)

    def find(self, tab: str, name: str) -> RunFolder:
        """One run.  Raises `OptionError` for a name that is none, `StoreError` if there is no such run."""
        if tab not in self.roots:
            raise OptionError("tab", tab, " or ".join(self.roots))
        if not re.fullmatch(r"\d{1,12}", name):
            raise OptionError("run", name, "the number of a run")
        return Runs(self.roots[tab]).find(str(int(name)))

    def summaries(
        self, search: str = "", state: str = "all", sort: str = "newest", task: str = "all"
    ) -> list[dict[str, Any]]:
        """Every run and analysis in a few lines, filtered and sorted; one that cannot be read says so in `reason`."""
        found = [run for run in self._every() if state in ("all", run["state"]) and task in ("all", run["task"])]
        found = [run for run in found if _matches(run, search)]
        found.sort(key=lambda run: (run["started"], run["run"], run["tab"]), reverse=sort != "oldest")
        if sort == "best loss":
            found.sort(key=lambda run: _number(run.get("pinned"), "loss"))
        elif sort == "improvement":
            found.sort(key=lambda run: -_number(run.get("held"), "improvement", -1e9))
        return found

    def _every(self) -> Iterator[dict[str, Any]]:
        seen: set[Path] = set()
        for tab, root in self.roots.items():
            real = Path(os.path.realpath(root))
            if real in seen:
                continue
            seen.add(real)
            for number in _numbers(root):
                folder = RunFolder(root / f"{number:08d}")
                run = summarised(folder)
                yield {**run, "tab": tab, "thumbnails": _thumbnails(folder, run)}

    def index(self, tab: str) -> Path:
        """The page of all runs, as they are now.  Raises `PinError`."""
        if tab not in self.roots:
            raise OptionError("tab", tab, " or ".join(self.roots))
        if not self.roots[tab].is_dir():
            raise StoreError(f"{tab}: there are no runs yet")
        return build_index(Runs(self.roots[tab]))

    def pace(self, pixels: int = 0) -> float | None:
        """Seconds that one image's step took in the latest run that has come to rest, None if there is none.

        pixels: of the images that are asked for; a step's time is taken to grow with them.  0: as in that run.
        """
        latest: dict[str, Any] = {}
        for root in self.roots.values():
            for number in reversed(_numbers(root)[-RECENT:]):
                found = summarised(RunFolder(root / f"{number:08d}"))
                if found.get("evaluations") and found["seconds"] > 0 and found["state"] in AT_REST:
                    latest = max(latest, found, key=lambda run: run.get("started", ""))
                    break
        if not latest:
            return None
        seconds: float = latest["seconds"] / latest["evaluations"]
        size = latest.get("host", {}).get("size")
        return seconds * pixels / (size[0] * size[1]) if size and pixels else seconds

    def file(self, tab: str, name: str, path: str) -> Path:
        """A file of a run.  Raises `StoreError` for anything that is not a plain file inside its folder."""
        folder = self.find(tab, name).path.resolve()
        try:
            wanted = (folder / path).resolve()
            inside = wanted.is_relative_to(folder) and wanted.is_file()
        except (OSError, ValueError):
            inside = False
        if not inside:
            raise StoreError(f"{path}: is no file of run {name}")
        return wanted

    def delete(self, tab: str, name: str) -> None:
        """Remove a run for good.  Raises `StoreError` if it is being written to."""
        folder = self.find(tab, name)
        lock = FolderLock(folder.inside(LOCK))
        lock.release()
        try:
            shutil.rmtree(folder.path)
        except OSError as error:
            raise StoreError(f"{folder.path}: cannot be removed ({reason(error)})") from error


def _numbers(root: Path) -> list[int]:
    """The numbers of a folder's runs; none where it cannot be read, so that the other folders' are shown."""
    with contextlib.suppress(StoreError):
        return Runs(root).numbers()
    return []


def _thumbnails(folder: RunFolder, run: Mapping[str, Any]) -> list[str]:
    """The images of the pinned prompt's batch, in order, relative to the run's folder; of a map the original's.

    Of an analysis the first one.
    """
    if run["task"] == "words":
        return [FIRST] if has(folder.path, FIRST) else []
    batch = (run.get("original" if run["task"] == "map" else "pinned") or {}).get("folder")
    if not batch:
        return []
    try:
        names = os.listdir(folder.inside(batch))
    except (OSError, StoreError):
        return []
    return sorted(f"{batch}/{name}" for name in names if IMAGE.fullmatch(name))


def _matches(run: Mapping[str, Any], search: str) -> bool:
    words = search.lower().split()
    text = " ".join([run["run"], run["prompt"], run["negative_prompt"], (run.get("pinned") or {}).get("prompt", "")])
    return all(word in text.lower() for word in words)


def _number(values: Mapping[str, Any] | None, name: str, default: float = 1e9) -> float:
    value = (values or {}).get(name)
    return default if value is None else float(value)
