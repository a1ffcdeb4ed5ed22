"""Where a run is computed: here, or by workers that the command line names.  Imports typer.

These are no options of a run: they change neither what it is nor its journal, and a run that goes on is told them anew.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import os
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import typer

from ..config import RunConfig
from ..errors import CheckpointError, OptionError
from ..store import Record
from .arguments import HOST, Command, some_path
from .parameters import Device, Embeddings, Loras
from .terminal import Terminal

if TYPE_CHECKING:
    from ..headless.engine import HeadlessHost
    from ..headless.several import SeveralHosts
    from ..workers.pool import Pool

    Engine = Union[HeadlessHost, SeveralHosts, Pool]

PANEL = "Workers"
SAME = ("checkpoint", "checkpoint_sha256", "vae", "forks", "source_sha256", "denoising_strength")
"""What WebUIs must tell as they did, where a run goes on."""
WEBUIS = "webui-api"


class Here:
    """What opens the engine, also on another machine: open(**paths)."""

    def __init__(self, open_: Callable[..., HeadlessHost], **paths: object) -> None:
        self.open, self.paths = open_, {name: str(path) for name, path in paths.items() if path}


@dataclasses.dataclass(frozen=True)
class Crew:
    """The workers that a command line names; none: here."""

    webui: Annotated[
        Optional[list[str]],
        typer.Option(
            metavar="URL",
            rich_help_panel=PANEL,
            help="Render with this WebUI, by its API, with its checkpoint and LoRAs; several: one for each.",
        ),
    ] = None
    webui_auth: Annotated[
        str,
        typer.Option(
            metavar="USER:PASSWORD",
            envvar="PROMPT_PINS_WEBUI_AUTH",
            show_envvar=True,
            rich_help_panel=PANEL,
            help="The login of --api-auth; it is never written down.",
        ),
    ] = ""
    source: Annotated[
        Optional[Path],
        typer.Option(
            parser=some_path, metavar="PATH", rich_help_panel=PANEL, help="img2img, with --webui: the image to redraw."
        ),
    ] = None
    denoising_strength: Annotated[
        float, typer.Option(min=0.0, max=1.0, rich_help_panel=PANEL, help="img2img: how much is redrawn.")
    ] = 0.75

    ray: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel=PANEL,
            help="Render with workers on Ray: local (this machine's GPUs, or its cores), auto (the cluster that this "
            "machine belongs to), or a cluster's address.",
        ),
    ] = ""
    worker_gpus: Annotated[
        Optional[float],
        typer.Option(min=0.0, rich_help_panel=PANEL, help="GPUs of each worker on Ray; if nothing is said, 1."),
    ] = None
    worker_cpus: Annotated[
        float, typer.Option(min=1.0, rich_help_panel=PANEL, help="Cores of each worker on Ray, and its threads.")
    ] = 1
    device: Device = None
    embeddings: Embeddings = None
    loras: Loras = None

    @property
    def own(self) -> tuple[str | None, Path | None, Path | None]:
        """What the engine is opened with here or on Ray, besides its models; WebUIs have their own."""
        return self.device, self.embeddings, self.loras

    @property
    def shown(self) -> list[str]:
        """The addresses of the WebUIs, without a login."""
        if not self.webui:
            return []
        from ..workers.client import without_login

        return [without_login(url) for url in self.webui]

    def again(self, moved: Mapping[str, str] | None = None) -> dict[str, object]:
        """What a run needs to go on, besides its login.

        moved: as in `again_as`, where it goes on already; None: it begins, and remembers `own` by itself.
        """
        strength = {"--denoising-strength": self.denoising_strength} if self.source else {}
        ray = {"--ray": self.ray, "--worker-gpus": self.worker_gpus, "--worker-cpus": self.worker_cpus}
        beside = {} if moved is None else self._beside(moved)
        given = {f"--{name.replace('_', '-')}": value for name, value in beside.items()}
        return {**given, "--webui": self.shown, "--source": self.source, **strength, **(ray if self.ray else {})}

    def _beside(self, moved: Mapping[str, str]) -> dict[str, object]:
        return {"device": self.device, "embeddings": self.embeddings, "loras": self.loras, **moved}

    @contextlib.contextmanager
    def opened(
        self,
        config: RunConfig,
        here: Here,
        record: Record | None = None,
        moved: Mapping[str, str] = MappingProxyType({}),
        terminal: Terminal | None = None,
    ) -> Iterator[Engine]:
        """The host of a run.

        here: what opens this process's own, or Ray's.  record: of a run that goes on.  moved: as in `again_as`.
        Raises `PinError`.
        """
        if self.webui and len(config.checkpoints) > 1:
            raise OptionError("payload", "--checkpoint", "none beside --webui: the WebUIs have their own")
        was = None if record is None else record.host.get("name") == WEBUIS
        if was and not self.webui:
            raise OptionError("webui", "none", "the addresses of WebUIs: this run was rendered by some")
        if was is False and self.webui:
            raise OptionError("webui", self.shown[0], "none: this run was rendered without WebUIs")
        if self.webui and config.merge_with:
            raise OptionError("merge_with", config.merge_with, "none beside --webui: a WebUI merges in its own script")
        if self.source is not None and not self.webui:
            raise OptionError("source", str(self.source), "an image beside --webui")
        if self.webui and self.ray:
            raise OptionError("ray", self.ray, "none beside --webui")
        if not self.webui:
            yield from self._engines(here, terminal)
            return
        for name, value in self._beside(moved).items():
            if value:
                raise OptionError(name, str(value), "none beside --webui: the WebUIs have their own")
        pool, lines = self._webuis(config)
        try:
            if was and record is not None:
                _check(record, pool.describe())
            for line in lines:
                (terminal or Terminal()).say(line)
            yield pool
        finally:
            pool.close()

    def _engines(self, here: Here, terminal: Terminal | None) -> Iterator[Engine]:
        if not self.ray:
            yield here.open(**here.paths)
            return
        from ..workers.bench import Opening
        from ..workers.cluster import open_cluster

        paths = {name: os.path.abspath(path) for name, path in here.paths.items() if path}
        pool = open_cluster(self.ray, Opening(here.open, paths, device_name), self.worker_gpus, self.worker_cpus)
        try:
            (terminal or Terminal()).say(f"workers: {', '.join(worker.name for worker in pool.workers)}")
            yield pool
        finally:
            pool.close()

    def _webuis(self, config: RunConfig) -> tuple[Pool, list[str]]:
        from ..loss import load_target
        from ..run.likely import asked
        from ..workers.api import Source
        from ..workers.client import login
        from ..workers.webuis import open_webuis

        source = None
        if self.source is not None:
            source = Source(load_target(self.source).pixels, self.denoising_strength)
        pool, lines = open_webuis(self.webui or (), login(self.webui_auth), config, source)
        if asked(config):
            lines.append("WebUIs do not tell where the target is likely: the search begins at the original prompt")
        return pool, lines


def fresh(config: RunConfig, device: str | None, embeddings: Path | None, loras: Path | None) -> Here:
    """What opens a configuration's engine."""
    opening = functools.partial(engine, device=device, prompt=config.every_text)
    paths = {name: getattr(config, name) for name in HOST}
    return Here(_for_all(config, opening, opening), embeddings=embeddings, loras=loras, **paths)


def again_as(
    record: Record,
    device: str | None,
    embeddings: Path | None,
    loras: Path | None = None,
    moved: Mapping[str, str] = MappingProxyType({}),
) -> Here:
    """What opens the engine that a run was rendered with.  moved: where its files lie now, by `HOST`."""
    known, paths = record.host, {"embeddings": embeddings, "loras": loras}
    opening = functools.partial(engine_again, record, device=device or known.get("device"))
    found = {name: path or known.get(f"{name}_folder") for name, path in paths.items()}
    found["embeddings"] = found["embeddings"] if known.get("embeddings") or embeddings else None
    found |= {name: moved.get(name) or record.config.get(name) for name in HOST}
    config = RunConfig.from_record(record.config)
    others = functools.partial(engine, device=device or known.get("device"), prompt=config.every_text)
    opened = _for_all(config, opening, others, known.get("checkpoints"))
    return Here(opened, **found)


def _for_all(
    config: RunConfig, opening: Callable[..., HeadlessHost], others: Callable[..., HeadlessHost], known: Any = None
) -> Callable[..., Any]:
    """What opens a run's host: with the checkpoints of its payloads, if they name any."""
    if len(config.checkpoints) == 1:
        return opening
    return functools.partial(engines, opening, others, config.checkpoints, known)


def engines(
    opening: Callable[..., HeadlessHost],
    others: Callable[..., HeadlessHost],
    names: tuple[str, ...],
    known: Any,
    checkpoint: str = "",
    **values: Any,
) -> SeveralHosts:
    """The host of several checkpoints.  opening, others: open the first of these, and another one."""
    from ..headless.several import SeveralHosts

    def at(name: str) -> HeadlessHost:
        if name == names[0]:
            return opening(checkpoint=checkpoint, **values)
        return others(checkpoint=name, **values)

    return SeveralHosts(at, names, known)


def engine(**values: Any) -> HeadlessHost:
    """`open_host`, with paths as text."""
    from ..headless.opening import open_host

    return open_host(**_paths(values))


def engine_again(record: Record, **values: Any) -> HeadlessHost:
    """`reopen_host`, with paths as text."""
    from ..headless.opening import reopen_host

    return reopen_host(record, **_paths(values))


def _paths(values: dict[str, Any]) -> dict[str, Any]:
    return {key: Path(value) if key in ("embeddings", "loras") and value else value for key, value in values.items()}


def device_name() -> str:
    """Of what this process computes with."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def _check(record: Record, now: dict[str, Any]) -> None:
    for key in SAME:
        was, found = record.host.get(key), now.get(key)
        if was != found and not (key == "checkpoint_sha256" and "" in (was, found)):  # one that hashes nothing
            what = key.replace("_", " ")
            raise CheckpointError(f"webui: this run was rendered with the {what} {was}; the WebUIs have {found}")


def with_workers(command: Callable[..., None]) -> Command:
    """`command(…, crew=Crew(…))` with an option for each field of `Crew`."""
    hints = typing.get_type_hints(Crew, include_extras=True)
    fields = dataclasses.fields(Crew)

    @functools.wraps(command)
    def wrapped(*args: Any, **given: Any) -> None:
        command(*args, crew=Crew(**{field.name: given.pop(field.name) for field in fields}), **given)

    signature = inspect.signature(command)
    own = typing.get_type_hints(command, include_extras=True)
    before = [p.replace(annotation=own[p.name]) for p in signature.parameters.values() if p.name != "crew"]
    rest = [p for p in before if p.kind is inspect.Parameter.VAR_KEYWORD]
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [inspect.Parameter(f.name, keyword, default=f.default, annotation=hints[f.name]) for f in fields]
    whole = [*(p for p in before if p not in rest), *added, *rest]
    wrapped.__signature__ = signature.replace(parameters=whole)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in whole}
    del wrapped.__wrapped__
    return wrapped
