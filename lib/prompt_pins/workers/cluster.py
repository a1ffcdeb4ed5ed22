"""Workers on Ray: actors that hold the engine, on one machine with several GPUs or on a cluster.

Ray is imported when a cluster is opened, and at no other time.  An actor that dies is restarted by Ray, here or on
another node; what it was at is given to another one, which `pool` sees to.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import os
import secrets
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..config import RenderOptions
from ..errors import OptionError
from ..host import Batch, Recipe, Request
from .answers import Asking, WorkerFault
from .bench import Bench, Content, Opening, fingerprint, read, unpacked
from .giving import Worker
from .pool import Pool

LOCAL, AUTO = "local", "auto"
FIRST = 900.0
"""Seconds for the first actor to open its model."""
OTHERS = 10.0
"""Seconds for which the others are waited for after that; later ones join the run on their way."""
SILENT = 30.0
"""Seconds in which an actor that rests must say that it is well."""
TURN = 0.5
CONNECT = 10.0
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent
    "RAY_ENABLE_AUTO_CONNECT": "0",  # or a call after the end would begin another cluster
    "NUM_REDIS_GET_RETRIES": "1",  # or Ray asks an address that is none for ten minutes
}
"""Of the environment, before Ray is imported."""


class Shelf:
    """The driver's files, for nodes that lack them; each is put into the object store once."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, str]] = {}

    def get(self, path: str) -> tuple[Any, str]:
        """(reference of its content, fingerprint)."""
        import ray

        if path not in self._known:
            content = read(path)
            self._known[path] = ray.put(content), fingerprint(content)
        return self._known[path]


class Engine:
    """The class of the actors."""

    def __init__(self, opening: Opening, shelf: tuple[str, str], home: str) -> None:
        import ray

        @functools.cache
        def sent(path: str) -> Any:
            return ray.get(ray.get_actor(*shelf).get.remote(path))

        def content(path: str) -> Content:
            found: Content = ray.get(sent(path)[0])
            return found

        away = ray.get_runtime_context().get_node_id() != home
        self._bench = Bench(opening, *((content, lambda path: str(sent(path)[1])) if away else ()))

    def call(self, name: str, *values: Any) -> Any:
        """As `Bench.call`."""
        return self._bench.call(name, *values)

    def render(self, request: Request, judge: Any) -> Any:
        """judge: which Ray has fetched for it."""
        return self._bench.call("render", dataclasses.replace(request, judge=judge))

    def where(self) -> tuple[str, str]:
        """(machine, kind of device)."""
        return os.uname().nodename, self._bench.kind()


class RayHost(Asking):
    """The `Host` of one actor."""

    def __init__(self, cluster: Cluster, actor: Any) -> None:
        self._cluster, self.actor = cluster, actor

    def interrupted(self) -> bool:
        """Never: a run is stopped where it runs."""
        return False

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        """One image for each seed."""
        return self.render_scored(Request(recipe, tuple(seeds), job, forked))

    def render_scored(self, request: Request) -> Batch:
        """A batch, scored and packed where it was rendered."""
        judge = self._cluster.kept(request.judge)
        ref = self.actor.render.remote(dataclasses.replace(request, judge=None), judge)
        batch: Batch = unpacked(self._cluster.wait(ref).unpacked())
        return batch

    def check(self) -> None:
        """Raises `WorkerFault` where it cannot be used."""
        try:
            now = self._cluster.wait(self.actor.call.remote("describe"), SILENT).unpacked()
        except WorkerFault:
            raise
        except Exception as error:
            raise WorkerFault(str(error)) from error
        if now != self._cluster.description:
            raise WorkerFault("it has another checkpoint, or another version of it")

    def close(self) -> None:
        """Wait for it no longer; the cluster ends its actors."""
        self._cluster.leaving = True

    def _ask(self, name: str, *values: Any) -> Any:
        return self._cluster.wait(self.actor.call.remote(name, *values)).unpacked()


class Cluster:
    """A running Ray, and this run's actors on it.

    gpus: of each actor; None: one where there are any.  cpus: of each.
    Raises `OptionError` for an address that is none, and for a cluster on which no actor fits.
    """

    def __init__(self, address: str, opening: Opening, gpus: float | None = None, cpus: float = 1) -> None:
        import ray

        self._ray, self._opening, self.leaving = ray, opening, False
        self._own = not ray.is_initialized()
        if self._own:
            _join(ray, address)
        try:
            total = ray.cluster_resources()
            gpus = (1.0 if total.get("GPU", 0) else 0.0) if gpus is None else gpus
            self._needs = {"GPU": gpus, "CPU": cpus}
            count = self._fitting(total)
            if count < 1:
                raise OptionError("ray", address, f"a cluster with {gpus:g} GPUs and {cpus:g} CPUs for a worker")
            self._prepare(gpus, cpus)
            self._names: Counter[str] = Counter()
            self._judge: tuple[Any, Any] = (None, None)
            self._coming = [self._begun() for _ in range(count)]
            self.description: dict[str, Any] = {}
            self.pool = Pool(self._first(), recruit=self.recruit)
        except BaseException:
            self.close()
            raise

    def _prepare(self, gpus: float, cpus: float) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray = self._ray
        context = ray.get_runtime_context()
        self._home = context.get_node_id()
        here = NodeAffinitySchedulingStrategy(self._home, soft=False)
        name = f"prompt-pins-{secrets.token_hex(8)}"  # a handle would bind the actors' restarts to this process
        self._shelf = ray.remote(Shelf).options(name=name, num_cpus=0, scheduling_strategy=here).remote()
        self._place = name, context.namespace
        self._actor = ray.remote(Engine).options(num_gpus=gpus, num_cpus=cpus, max_restarts=-1, max_task_retries=0)

    def _fitting(self, resources: dict[str, float]) -> int:
        """How many actors have room."""
        return min(int(resources.get(name, 0.0) // need) for name, need in self._needs.items() if need)

    def _begun(self) -> tuple[Any, Any]:
        """(actor, reference of where it is and what it says of itself)."""
        actor = self._actor.remote(self._opening, self._place, self._home)
        return actor, [actor.where.remote(), actor.call.remote("describe")]

    def _first(self) -> list[Worker]:
        """The workers to begin with.  Raises what opening the model raises."""
        first = self._ray.wait([refs[1] for _, refs in self._coming], num_returns=1, timeout=FIRST)[0]
        if not first:
            raise OptionError("ray", "this cluster", f"one on which a worker begins within {FIRST:g} s")
        self.description = self.wait(first[0]).unpacked()
        rest = [refs[1] for _, refs in self._coming]
        self._ray.wait(rest, num_returns=len(rest), timeout=OTHERS)
        return list(self.recruit())

    def recruit(self) -> Sequence[Worker]:
        """Workers that are ready and were not; more are begun where nodes have come with room for them."""
        found, waiting = [], []
        for actor, refs in self._coming:
            ready = self._ray.wait(refs, num_returns=len(refs), timeout=0)[0]
            if len(ready) < len(refs):
                waiting.append((actor, refs))
                continue
            with contextlib.suppress(Exception):  # one that cannot open the model does not join
                (machine, kind), told = self._ray.get(refs)
                if told.unpacked() == self.description:
                    self._names[machine] += 1
                    found.append(Worker(f"{machine}#{self._names[machine]}", RayHost(self, actor), kind))
        self._coming = waiting
        if not waiting and not found:
            self._coming = [self._begun() for _ in range(self._fitting(self._ray.available_resources()))]
        return found

    def kept(self, judge: Any) -> Any:
        """A reference of what scores the batches; it is sent to each node once."""
        known, ref = self._judge
        if known is not judge or ref is None:
            ref = self._ray.put(judge)
            self._judge = judge, ref
        return ref

    def wait(self, ref: Any, longest: float = float("inf")) -> Any:
        """What an actor answers.  Raises `WorkerFault` where it is gone."""
        started = time.monotonic()
        try:
            while not self.leaving:
                if self._ray.wait([ref], timeout=min(TURN, longest))[0]:
                    return self._ray.get(ref)
                if time.monotonic() - started > longest:
                    raise WorkerFault(f"it has not answered for {longest:g} s")
        except self._ray.exceptions.RayError as error:
            raise WorkerFault(f"its process or its node is gone ({type(error).__name__})") from error
        raise WorkerFault("the cluster was left")

    def close(self) -> None:
        """End the actors, and leave the cluster."""
        self.leaving = True
        if self._own:
            self._own = False
            self._ray.shutdown()


async def _reached(host: str, port: int) -> None:
    """Raises where nothing listens: Ray itself would try for minutes."""
    _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), CONNECT)
    writer.close()


def _join(ray: Any, address: str) -> None:
    """Raises `OptionError`."""
    options: dict[str, Any] = {"include_dashboard": False} if address == LOCAL else {}
    host, colon, port = address.rpartition(":")
    try:
        if colon and port.isdecimal() and "/" not in address:
            asyncio.run(_reached(host.strip("[]"), int(port)))
        ray.init(address=address, configure_logging=False, log_to_driver=False, **options)
    except Exception as error:
        words = " ".join(str(error).split())[:200] or type(error).__name__
        allowed = f"{LOCAL}, {AUTO} (the cluster of this machine), or the address of a cluster ({words})"
        raise OptionError("ray", address, allowed) from error


def open_cluster(address: str, opening: Opening, gpus: float | None = None, cpus: float = 1) -> Pool:
    """A pool whose `close` leaves the cluster.  Raises `OptionError`, also where Ray is not installed."""
    os.environ.update(SETTINGS)
    try:
        cluster = Cluster(address, opening, gpus, cpus)
    except ModuleNotFoundError as error:
        raise OptionError("ray", address, "an installation with Ray: pip install 'prompt-pins[ray]'") from error
    cluster.pool.at_end = cluster.close
    return cluster.pool
