"""A pool of hosts makes the run of one host, whatever happens to its workers."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prompt_pins.config import RenderOptions
from prompt_pins.errors import HostError, HostInterrupted, OptionError, StoreError, WorkersError
from prompt_pins.host import Batch, Recipe, Request
from prompt_pins.run import pin
from prompt_pins.store import RunFolder, Runs
from prompt_pins.workers.answers import WorkerFault
from prompt_pins.workers.giving import Patience, Worker
from prompt_pins.workers.pool import Pool

from tests.patience import HUNG
from tests.run.painter import Painter
from tests.run.test_cut import BASE, RUNS, nothing_is_flushed, ran, target
from tests.run.test_pin import finish, timeless

__all__ = ["nothing_is_flushed", "target"]

HASTY = Patience(first=HUNG, least=HUNG, rest=0.001, longest=0.01, tries=3)
JOB = RenderOptions(steps=1, batch_size=2)
RECIPES = [Recipe(f"a (red:{weight}) circle") for weight in ("1.1", "1.2", "1.3", "1.4", "1.5", "1.6")]


class Moody(Painter):
    """gate: rendering waits for it.  answer: what becomes of a batch."""

    def __init__(
        self,
        fault: Callable[[int], None] = lambda call: None,
        gate: threading.Event | None = None,
        answer: Callable[[Batch], Any] = lambda batch: batch,
        pause: float = 0.0,
    ) -> None:
        super().__init__(fault)
        self.gate, self.answer, self.pause = gate, answer, pause

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        if self.gate is not None:
            assert self.gate.wait(HUNG)
        time.sleep(self.pause)
        found: Batch = self.answer(super().render(recipe, seeds, job, forked))
        return found


def pool(*hosts: Painter, patience: Patience = HASTY, kinds: Sequence[str] = "") -> Pool:
    return Pool([Worker(f"w{i}", host, kinds[i : i + 1]) for i, host in enumerate(hosts)], patience)  # type: ignore[arg-type]


def requests(recipes: Iterable[Recipe] = RECIPES) -> list[Request]:
    return [Request(recipe, (3, 4), JOB, True) for recipe in recipes]


def taken(host: Pool, recipes: Iterable[Recipe] = RECIPES) -> list[Batch]:
    """What the pool answers, in order; it is the painter's."""
    found = [host.render(recipe, (3, 4), JOB, True) for recipe in recipes]
    for recipe, batch in zip(recipes, found):
        assert np.array_equal(batch.images, Painter().render(recipe, (3, 4), JOB, True).images)
    return found


def raising(error: Exception, calls: Callable[[int], bool] = lambda call: True) -> Moody:
    def fail(call: int) -> None:
        if calls(call):
            raise error

    return Moody(fail)


def without_workers(folder: RunFolder) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "worker"} for line in timeless(folder)]


@pytest.mark.parametrize("name", RUNS)
def test_the_journal_is_that_of_one_host(name: str, target: str, tmp_path: Path) -> None:
    if name == "minutes":
        pytest.skip("its end depends on the clock")
    one, many = (Runs(tmp_path / place) for place in ("one", "many"))
    if "warm_start" in RUNS[name]:
        for runs in (one, many):
            ran({}, target, runs)
    alone = ran(RUNS[name], target, one)
    shared = ran(RUNS[name], target, many, pool(Moody(), Moody(pause=0.003), Moody(pause=0.001)))
    assert without_workers(shared) == timeless(alone)
    rendered = [c for c in shared.record().candidates if c.evaluations]
    assert {name for c in rendered for name in c.worker.split(", ")} <= {"w0", "w1", "w2"}


def test_answers_come_in_the_order_in_which_they_are_asked_for() -> None:
    slow = threading.Event()
    host = pool(Moody(gate=slow), Moody())
    host.ahead(requests())
    threading.Timer(0.05, slow.set).start()
    assert {batch.worker for batch in taken(host)} == {"w0", "w1"}


def test_what_has_come_is_written_down_while_the_run_waits_for_its_first(target: str, tmp_path: Path) -> None:
    class Last(Moody):
        """The original, which is asked for first, is not there before another candidate's images are files."""

        def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
            deadline = time.monotonic() + HUNG
            while recipe.prompt == BASE["prompt"] and not list(tmp_path.glob("*/00000001/*/*.png")):
                assert time.monotonic() < deadline, "nothing was written down"
                time.sleep(0.001)
            return super().render(recipe, seeds, job, forked)

    folder = ran({"generations": 1}, target, Runs(tmp_path), pool(Last(), Last()))
    assert folder.record().state == "finished" and not folder.record().candidates[0].error


def test_what_cannot_be_written_down_early_is_told_in_its_turn(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, runs = RunFolder.save_images, Runs(tmp_path)

    def full(folder: RunFolder, place: Path, *values: Any) -> None:
        if place.parent.name == "00000002":
            raise StoreError("the disk is full")
        kept(folder, place, *values)

    with monkeypatch.context() as patch, pytest.raises(StoreError, match="the disk is full"):
        patch.setattr(RunFolder, "save_images", full)
        ran({}, target, runs, pool(Moody(), Moody()))
    finish(pin.resume(runs.find("0"), pool(Moody(), Moody())))
    assert without_workers(runs.find("0"))[-1]["kind"] == "finished"


@pytest.mark.parametrize("error", [WorkerFault("gone"), HostError("out of memory"), MemoryError()])
def test_what_one_worker_cannot_do_another_does_and_it_is_left_out(error: Exception) -> None:
    host = pool(raising(error), Moody(pause=0.01))
    for _ in range(4):
        host.ahead(requests())
        assert {batch.worker for batch in taken(host)} == {"w1"}
    assert any(line.startswith("worker w0 is left out: ") and "(1 left)" in line for line in host.news())
    assert host.news() == []


def test_a_worker_that_is_well_again_goes_on() -> None:
    host = pool(raising(WorkerFault("it restarts"), lambda call: call in (1, 2)))
    host.ahead(requests())
    assert len(taken(host)) == len(RECIPES) and not host.news()


def test_nonsense_is_a_fault() -> None:
    for answer in (
        lambda batch: None,
        lambda batch: Batch(batch.images[:1], batch.infotexts, 1),
        lambda batch: Batch(batch.images[:, :8], batch.infotexts, 1),
        lambda batch: Batch(batch.images / 255, batch.infotexts, 1),
        lambda batch: Batch(batch.images, (), 1),
    ):
        host = pool(Moody(answer=answer), Moody(pause=0.005))
        host.ahead(requests())
        assert {batch.worker for batch in taken(host)} == {"w1"}


def test_a_worker_that_hangs_loses_its_request_and_is_left_out() -> None:
    never = threading.Event()
    host = pool(Moody(gate=never), Moody(pause=0.01), patience=Patience(first=0.1, least=0.1))
    host.ahead(requests())
    taken(host)
    while "w0" not in "".join(host.news()):
        host.ahead(requests())
        taken(host)
    never.set()


def test_a_candidate_that_nobody_can_render_has_failed_and_the_workers_stay() -> None:
    bad = Recipe("a (bad:1.2) circle")

    class Picky(Moody):
        def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
            if recipe == bad:
                raise HostError("no numbers")
            return super().render(recipe, seeds, job, forked)

    for hosts in ([Picky()], [Picky(), Picky(), Picky()]):
        host = pool(*hosts)
        for _ in range(5):
            host.ahead(requests([*RECIPES, bad]))
            taken(host)
            with pytest.raises(HostError, match="no numbers"):
                host.render(bad, (3, 4), JOB, True)
        assert host.news() == []


def ended(work: Callable[[], Any]) -> Any:
    """What it returns or raises, if it does not hang."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(work())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(HUNG)
    assert found, "it hangs"
    return found[0]


def test_what_the_only_worker_of_its_kind_refuses_another_kind_renders() -> None:
    refusing = threading.Event()

    def fault(call: int) -> None:
        if refusing.is_set():
            raise HostError("out of memory")

    host = pool(Moody(fault), Moody(pause=0.1), kinds="AB")
    host.ahead(requests())
    taken(host)  # both speeds are known: the rows of seeds go to A
    refusing.set()
    host.ahead(requests())
    assert {batch.worker for batch in ended(lambda: taken(host))} == {"w1"}


def test_what_all_that_are_left_refuse_has_failed_also_when_another_one_goes() -> None:
    never = threading.Event()
    host = pool(raising(HostError("no numbers")), Moody(gate=never), patience=Patience(first=0.3, least=0.3))
    found = ended(lambda: host.render(RECIPES[0], (3, 4), JOB, True))
    assert isinstance(found, HostError) and "no numbers" in str(found)
    never.set()


@pytest.mark.parametrize("error", [HostError("HTTP 503"), ValueError("nonsense")])
def test_a_worker_that_cannot_say_how_it_is_is_not_well(error: Exception) -> None:
    class Unwell(Moody):
        def check(self) -> None:
            raise error

    host = pool(Unwell(raising(WorkerFault("gone")).fault), Moody(pause=0.01))
    host.ahead(requests())
    assert {batch.worker for batch in ended(lambda: taken(host))} == {"w1"}
    alone = pool(Unwell(raising(WorkerFault("gone")).fault))
    assert isinstance(ended(lambda: alone.render(RECIPES[0], (3, 4), JOB, True)), WorkersError)


def test_what_comes_after_an_interruption_is_not_taken() -> None:
    """A WebUI that is interrupted answers with images that are half done."""
    for _ in range(5):
        gate = threading.Event()

        class Obeying(Moody):
            def interrupt(self) -> None:
                self.gate.set()

        host = pool(Obeying(gate=gate))
        host.ahead(requests())
        threading.Timer(0.05, host.interrupt).start()
        assert isinstance(ended(functools.partial(taken, host)), HostInterrupted)


def test_a_question_waits_for_a_worker_that_is_gone_for_a_moment() -> None:
    class Restarting(Moody):
        asked = 0

        def embeddings(self) -> tuple[str, ...]:
            self.asked += 1
            if self.asked < 3:
                raise WorkerFault("its process is gone")
            return ("dusk",)

    host = pool(Restarting(), Restarting())
    assert host.embeddings() == ("dusk",) and host.news() == []
    lost = pool(Restarting(), patience=Patience(tries=2, rest=0.0))
    with pytest.raises(WorkersError, match=r"no worker is left \(w0: its process is gone\)"):
        lost.embeddings()


def test_rests_grow_to_the_longest() -> None:
    assert [Patience().after(faults) for faults in (1, 2, 3, 6, 10**6)] == [1.0, 2.0, 4.0, 30.0, 30.0]


def test_bad_input_is_said_at_once() -> None:
    error = OptionError("sampler", "x", "y")
    with pytest.raises(OptionError):
        pool(raising(error), raising(error)).render(RECIPES[0], (3, 4), JOB, True)


def test_with_no_worker_left_the_run_stops_and_goes_on_with_others(target: str, tmp_path: Path) -> None:
    dying = [raising(WorkerFault("gone"), lambda call: call > 3) for _ in range(2)]
    with pytest.raises(WorkersError, match=r"no worker is left \(w0: gone; w1: gone\)"):
        ran({}, target, Runs(tmp_path / "a"), pool(*dying))
    folder = RunFolder(tmp_path / "a" / "00000000")
    assert folder.record().state == "stopped" and 0 < len(folder.record().candidates) < 7
    finish(pin.resume(folder, pool(Moody(), Moody())))
    whole = timeless(ran({}, target, Runs(tmp_path / "b")))
    assert [line for line in without_workers(folder) if line["kind"] not in ("stopped", "resumed")] == whole


def test_what_was_not_planned_is_rendered_though_no_more_answers_are_kept() -> None:
    planned, other = [Recipe(f"a (red:1.{index:02d}) circle") for index in range(40)], Recipe("something else")
    host = pool(Moody())
    host.ahead(requests(planned))
    taken(host, [other, *planned])


def test_an_interruption_ends_the_waiting() -> None:
    never = threading.Event()
    host = pool(Moody(gate=never))
    threading.Timer(0.05, host.interrupt).start()
    with pytest.raises(HostInterrupted):
        host.render(RECIPES[0], (3, 4), JOB, True)
    never.set()
    assert host.interrupted()


def test_the_last_candidates_of_a_slow_worker_are_given_out_twice() -> None:
    gate = threading.Event()
    slow = Moody(gate=gate)
    host = pool(slow, Moody(pause=0.001))
    gate.set()
    host.ahead(requests())
    taken(host)
    assert slow.calls  # its usual time is known
    gate.clear()
    host.ahead(requests())
    assert {batch.worker for batch in taken(host)} == {"w1"}
    gate.set()


def test_a_row_of_seeds_has_one_kind_of_device_where_one_kind_is_nearly_all_of_the_pool() -> None:
    host = pool(Moody(), Moody(), Moody(), Moody(), kinds="AAAB")
    host.ahead(requests())
    assert "w3" not in {batch.worker for batch in taken(host)}


def test_it_tells_of_its_workers() -> None:
    host = pool(Moody(pause=0.01), Moody(pause=0.01))
    assert host.standing() == ""
    host.ahead(requests())
    taken(host)
    assert "w0 " in host.standing() and "img/s" in host.standing() and 0.0 <= host.waited() < 1.0
    host.close()
