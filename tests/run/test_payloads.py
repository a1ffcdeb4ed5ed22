"""Runs whose candidates are judged on several payloads, on a host that paints."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.config import RenderOptions, RunConfig
from prompt_pins.errors import HostError, JournalError
from prompt_pins.host import Batch, Recipe
from prompt_pins.report import build
from prompt_pins.run import pin
from prompt_pins.run.plan import make_plan
from prompt_pins.store import Record, RunFolder, Runs

from tests.run.painter import SIDE, Painter
from tests.run.test_pin import finish

BASE: dict[str, Any] = {
    "prompt": "a {piece} circle", "piece": "red blue", "steps": 1, "batch_size": 2, "lambda_": 3, "generations": 2,
    "contest_seeds": 2, "finalists": 1, "held_out": 3, "cma_seed": 3,
    "payload": ("--seed 5", "--prompt '{piece} <b>square</b>' --seed 9 --weight 3", "{piece} star"),
}  # fmt: skip


class Recording(Painter):
    """Notes every call of `render`.  Pictures have the job's size; a prompt with `fails` in it, or one of `lost`, has
    none.  likely: whether it can tell where the target is likely."""

    def __init__(self, lost: Sequence[int] = (), likely: bool = True) -> None:
        super().__init__()
        self.lost, self.likely, self.calls_of = lost, likely, list[tuple[str, tuple[int, ...], RenderOptions]]()

    def size(self, job: RenderOptions) -> tuple[int, int]:
        return job.width or SIDE, job.height or SIDE

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        self.calls_of.append((recipe.prompt, tuple(seeds), job))
        if "fails" in recipe.prompt or len(self.calls_of) in self.lost:
            raise HostError("no paint")
        batch = super().render(recipe, seeds, job, forked)
        width, height = self.size(job)
        large = [np.asarray(Image.fromarray(image).resize((width, height))) for image in batch.images]
        return dataclasses.replace(batch, images=np.stack(large))

    def misfits(self, *asked: Any) -> Any:
        return super().misfits(*asked) if self.likely else None


def ran(folder: Path, host: Painter | None = None, **changes: Any) -> tuple[RunFolder, Record]:
    """A run to its end."""
    events = finish(pin.start(RunConfig(**{**BASE, **changes}), host or Recording(), Runs(folder)))
    found: RunFolder = events[0].folder  # type: ignore[union-attr]
    return found, found.record()


def own_losses(folder: RunFolder, place: int) -> list[float]:
    """The losses of each payload's batch of a candidate, as they were measured."""
    candidate = folder.record().candidates[place]
    stats = json.loads((folder.path / candidate.folder / "batch_stats.json").read_text())
    return [one["calculated_loss"] for one in stats["payloads"]]


def test_each_payload_counts_by_its_weight_as_a_share_of_its_own_original(tmp_path: Path) -> None:
    host = Recording()
    folder, record = ran(tmp_path, host)
    original = own_losses(folder, 0)
    assert record.candidates[0].shares == (1.0, 1.0, 1.0) and record.candidates[0].loss == pytest.approx(1.0)
    for place in (1, 2, 5):
        candidate = record.candidates[place]
        shares = np.array(own_losses(folder, place)) / original
        assert candidate.shares == pytest.approx(shares)
        assert candidate.loss == pytest.approx((shares * [1, 3, 1]).sum() / 5)
        assert len(candidate.images) == 6 and len(candidate.prompts) == 3
        assert candidate.prompt == candidate.prompts[0][0]
        assert candidate.piece.replace(" ", "") in candidate.prompts[2][0].replace(" ", "")
    rows = {seeds for _, seeds, _ in host.calls_of}
    assert {(5, 6), (9, 10), (1, 2)} <= rows  # of the first generation, each with seeds of its own
    assert record.target_counts == (2, 2, 2) and record.target_source == "batch"


def test_the_check_has_an_interval_for_all_and_one_for_each(tmp_path: Path) -> None:
    held = ran(tmp_path)[1].held
    assert held is not None and len(held.payload_fits) == len(held.payload_gains) == 3
    means = np.array(held.payload_fits).mean(axis=2)
    gains = 1.0 - means[:, 1] / means[:, 0]
    assert [gain[0] for gain in held.payload_gains] == pytest.approx(gains)
    assert held.improvement == pytest.approx((gains * [1, 3, 1]).sum() / 5)
    assert held.low <= held.improvement <= held.high and len(held.images_pinned) == 9

    record = ran(tmp_path, payload_loss="worst")[1]
    assert record.held is not None
    assert record.held.improvement == pytest.approx(min(gain[0] for gain in record.held.payload_gains))
    assert all(c.loss == max(c.shares) for c in record.candidates)


def test_a_plain_runs_journal_knows_no_payloads(tmp_path: Path) -> None:
    folder, _ = ran(tmp_path, prompt="a red blue circle", piece="", payload=())
    for line in folder.journal_path.read_text().splitlines():
        found = json.loads(line)
        assert not {"prompts", "shares", "payload_fits", "payload_gains", "payloads"} & set(found)
        assert not isinstance(found.get("plan"), dict) or "payloads" not in found["plan"]


def test_one_payload_that_is_the_run_itself_has_the_plain_runs_pictures(tmp_path: Path) -> None:
    alone = ran(tmp_path, prompt="a red blue circle", piece="", payload=())[1]
    same = ran(tmp_path, prompt="a red blue circle", piece="", payload=("a red blue circle",))[1]
    first = alone.candidates[0].loss
    assert [c.weights for c in same.candidates] == [c.weights for c in alone.candidates]
    assert [c.loss for c in same.candidates] == pytest.approx([(c.loss or 0) / (first or 1) for c in alone.candidates])
    assert same.best is not None and alone.best is not None and same.best.prompt == alone.best.prompt


def test_a_payload_that_fails_fails_the_candidate_and_names_itself(tmp_path: Path) -> None:
    record = ran(tmp_path, Recording(lost=[8], likely=False))[1]  # 3 first batches, which the original has again
    lost = record.candidates[2]
    assert lost.loss is None and lost.error == "payload 2: no paint" and lost.images == ()
    assert record.state == "finished" and record.held is not None


def test_without_the_original_nothing_can_be_compared(tmp_path: Path) -> None:
    target = tmp_path / "t.png"
    Image.fromarray(np.zeros((SIDE, SIDE, 3), np.uint8)).save(target)
    with pytest.raises(HostError, match="the original, which each payload is measured against, failed: payload 3"):
        ran(tmp_path, target=(str(target),), payload=("--seed 5", "{piece}", "{piece} fails"))
    folder = Runs(tmp_path).find("0")
    assert folder.record().state == "stopped" and not folder.record().candidates


def test_payloads_of_several_sizes_have_a_report(tmp_path: Path) -> None:
    payload = ("--width 64 --height 128", "--width 128 --height 64 --seed 4")
    folder, record = ran(tmp_path, payload=payload)
    assert record.held is not None and len(record.target_images) == 4
    page = build(folder).read_text()
    assert "Payload 2: a {piece} circle (seed 4)" in page and record.best is not None and record.best.piece in page
    assert (folder.path / "evolution.gif").is_file() and (folder.path / "final_summary.gif").is_file()


def test_names_are_escaped_on_the_page(tmp_path: Path) -> None:
    page = build(ran(tmp_path, generations=1, finalists=0, held_out=0, gifs=False, plots=False)[0]).read_text()
    assert "&lt;b&gt;square&lt;/b&gt;" in page and "<b>square</b>" not in page


def test_each_checkpoint_is_rendered_with_once_a_generation(tmp_path: Path) -> None:
    payload = ("--checkpoint one", "--checkpoint two --seed 3", "--checkpoint one --seed 4")
    host = Recording()
    record = ran(tmp_path, host, payload=payload, seed_policy="fixed", finalists=0, held_out=2)[1]
    used = [job.checkpoint for _, _, job in host.calls_of]
    switches = sum(before != after for before, after in itertools.pairwise(used))
    batches = [c for c in record.candidates if c.evaluations]
    assert len(used) == 3 * len(batches) + 3 * 2 and {"one", "two"} == set(used)
    # the targets' batches: 2 (one, two, one); 2 generations and the answers: at most 2 each; the check: 2
    assert switches <= 2 + 3 * 2 + 2


def test_the_plan_and_the_budget_count_the_images_of_all(tmp_path: Path) -> None:
    plan = make_plan(RunConfig(**BASE), Recording())
    assert plan.images == 3 * 2 * 2 * plan.rows and "3 payloads × 2 images" in plan.in_words
    record = ran(tmp_path, max_images=2 * plan.images_of(1, plan.rows), generations=50, finalists=0, held_out=0)[1]
    assert "images" in record.reason and len(record.generations) == 2


def test_twenty_payloads(tmp_path: Path) -> None:
    payload = tuple(f"{{piece}} thing {n}" for n in range(20))
    record = ran(tmp_path, payload=payload, generations=1, finalists=0, held_out=2, plots=False)[1]
    assert record.state == "finished" and record.held is not None and len(record.held.payload_gains) == 20
    assert len(record.candidates[0].images) == 40


@pytest.mark.parametrize(
    "kind, key, value",
    [("candidate", "shares", [1.0]), ("held", "payload_gains", [[0.1, 0.2, 0.3]]), ("target", "payloads", [2, 2])],
)
def test_a_damaged_journal_is_told(kind: str, key: str, value: Any, tmp_path: Path) -> None:
    from prompt_pins.store.framing import encode

    folder, _ = ran(tmp_path, generations=1, finalists=0, gifs=False, plots=False)
    lines = [json.loads(line) for line in folder.journal_path.read_text().splitlines()]
    place = next(index for index, line in enumerate(lines) if line["kind"] == kind)
    kept = {name: item for name, item in lines[place].items() if name not in ("n", "crc")}
    lines_raw = folder.journal_path.read_bytes().splitlines(keepends=True)
    lines_raw[place] = encode({**kept, key: value}, place + 1, 2)
    folder.journal_path.write_bytes(b"".join(lines_raw))
    with pytest.raises(JournalError, match=f"is no {kind} record: .*payload|is no {kind} record: payloads"):
        folder.record()
