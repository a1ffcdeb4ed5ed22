"""A map finds the pictures that lie near a prompt, the same ones each time, and goes on where it was."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prompt_pins.config import MapOptions, RunConfig
from prompt_pins.errors import OptionError, StoreError
from prompt_pins.loss.grid import grid_distances, grid_features
from prompt_pins.loss.ldrflip import mean_errors
from prompt_pins.map import clusters, plane, work
from prompt_pins.map.result import Map, MapDone
from prompt_pins.report import build_index, build_map
from prompt_pins.report.mapped import _pin
from prompt_pins.run.beginning import from_json, to_json, warm_start
from prompt_pins.space import build
from prompt_pins.store import Journal, RunFolder, Runs, read_journal
from prompt_pins.store.checks import Checker
from prompt_pins.store.folder import DISTANCES, save_image

from tests.map.four import PROMPT, Four, Stopping, picture


def begin(out: Path, host: Any = None, count: int = 48, radius: float = 0.5, **options: Any) -> RunFolder:
    config = RunConfig(**{"prompt": PROMPT, "batch_size": 3, "steps": 1, **options})
    *_, last = work.start(config, MapOptions(map_candidates=count, map_radius=radius), host or Four(), Runs(out))
    assert isinstance(last, MapDone)
    return Runs(out).find("0")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return begin(tmp_path_factory.mktemp("whole"))


def untimed(found: Map) -> dict[str, Any]:
    return {**found.to_json(), "time": ""}


def test_the_four_pictures_are_four_clusters(whole: RunFolder) -> None:
    record = whole.record()
    weights = np.array([candidate.weights for candidate in record.candidates])
    found = clusters.find(np.load(whole.path / DISTANCES), weights)
    seen = [picture(candidate.prompt) for candidate in record.candidates]
    of_label = [{seen[i] for i in np.flatnonzero(found.labels == label)} for label in range(4)]
    assert [len(pictures) for pictures in of_label] == [1] * 4 and len(set.union(*of_label)) == 4
    assert set(found.labels) == {0, 1, 2, 3} and found.stability == (1.0,) * 4
    sizes = np.bincount(found.labels)
    assert sizes.tolist() == sorted(sizes, reverse=True)


@pytest.mark.parametrize("spread", [0.05, 0.2, 1.0])
def test_clusters_are_those_of_scikit_learn(spread: float) -> None:
    """To the candidate where no two distances are equal; with neighbours many are, and it takes these in some order."""
    sklearn = pytest.importorskip("sklearn.cluster")
    rng = np.random.default_rng(3)
    for least, neighbours in ((3, 1), (6, 1), (10, 1), (6, 6), (10, 10)):
        points = rng.normal(size=(120, 2)) * spread + rng.integers(0, 3, (120, 2))
        table = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2)) + clusters.ALIKE * (1 - np.eye(120))
        method = sklearn.HDBSCAN(metric="precomputed", min_cluster_size=least, min_samples=neighbours,
                                 cluster_selection_method="leaf", copy=True)  # fmt: skip
        own, theirs = clusters.leaves(table, least, neighbours), method.fit(table).labels_
        both = np.ones(120, bool) if neighbours == 1 else (own >= 0) & (theirs >= 0)
        same = [np.equal.outer(labels, labels) & (labels >= 0) for labels in (own[both], theirs[both])]
        assert np.array_equal(*same) and ((own >= 0) != (theirs >= 0)).sum() <= 12


def test_the_words_that_decide_name_a_cluster_and_its_ranges_steer_a_run(whole: RunFolder) -> None:
    found = work.drawn(whole)
    assert found.state == "finished" and len(found.clusters) == 4
    for cluster in found.clusters:
        red, left = picture(found.places[cluster.example].prompt)
        assert {word.label for word in cluster.words} <= {"red", "blue", "left", "right"}
        ups = {word.label for word in cluster.words if word.change > 0}
        assert not ups & {"blue" if red else "red", "right" if left else "left"}
        box = cluster.ranges[-1]
        assert box.inside >= box.own == cluster.size
        axes = build(RunConfig(prompt=box.prompt)).axes
        assert [(axis.low, axis.high) for axis in axes] == list(zip(box.low, box.high))


def test_ranges_keep_what_is_frozen_and_tied() -> None:
    text = build(RunConfig(prompt="(a:=1.2) ((cat:1@t) sat), (dog:1@t) [x|y]", negative_prompt="bad")).groups[0]
    count = len(text.axes)
    positive, negative = text.ranged([0.5] * count, [0.75] * count)  # type: ignore[attr-defined]
    again = build(RunConfig(prompt=positive, negative_prompt=negative)).groups[0]
    assert [(axis.label, axis.low, axis.high) for axis in again.axes] == [(a.label, 0.5, 0.75) for a in text.axes]
    fixed = [(unit.unit.text, unit.unit.weight) for unit in again.units if unit.axis is None]  # type: ignore[attr-defined]
    assert ("a", 1.2) in fixed


def test_the_same_seed_gives_the_same_map(tmp_path: Path, whole: RunFolder) -> None:
    again = begin(tmp_path)
    assert untimed(work.drawn(again)) == untimed(work.drawn(whole))
    assert (again.path / DISTANCES).read_bytes() == (whole.path / DISTANCES).read_bytes()
    other = begin(tmp_path / "other", seed=2)
    assert [c.weights for c in other.record().candidates[1:]] != [c.weights for c in again.record().candidates[1:]]


def test_a_journal_cut_anywhere_goes_on_to_the_same_map(tmp_path: Path, whole: RunFolder) -> None:
    lines = whole.journal_path.read_bytes().splitlines(keepends=True)
    for count in (1, 20, len(lines) - 1):  # the last one: killed while the distances were worked out
        cut = RunFolder(tmp_path / f"cut{count}" / "00000000")
        shutil.copytree(whole.path / "00000001", cut.path / "00000001")
        cut.journal_path.write_bytes(b"".join(lines[:count]) + b'{"kind":"torn')
        list(work.resume(cut, Four()))
        assert (cut.path / DISTANCES).read_bytes() == (whole.path / DISTANCES).read_bytes()
        assert [dataclasses.replace(c, seconds={}) for c in cut.record().candidates] == [
            dataclasses.replace(c, seconds={}) for c in whole.record().candidates
        ]
    with pytest.raises(StoreError, match="finished"):
        work.resume(whole, Four())


def test_an_interrupted_map_shows_what_it_has_and_goes_on(tmp_path: Path, whole: RunFolder) -> None:
    folder = begin(tmp_path, Stopping(20))
    assert folder.record().state == "stopped" and len(work.drawn(folder).places) == 20
    assert "20 of 48 candidates" in build_map(folder.path).read_text("utf-8")
    list(work.resume(folder, Four()))
    assert untimed(work.drawn(folder)) == untimed(work.drawn(whole))


def test_a_map_stopped_before_its_first_candidate_has_a_page(tmp_path: Path) -> None:
    folder = begin(tmp_path, Stopping(0))
    assert work.drawn(folder).places == () and "Too few candidates" in build_map(folder.path).read_text("utf-8")


def test_a_strange_journal_is_refused(tmp_path: Path) -> None:
    folder = begin(tmp_path, count=6)
    lines = read_journal(folder.journal_path)
    for change in ({"index": 5}, {"images": []}, {"images": ["x"]}):
        strange = RunFolder(tmp_path / str(change) / "00000000")
        strange.path.mkdir(parents=True)
        with Journal(strange.journal_path) as journal:
            for line in lines:
                journal.append({**line, **(change if line.get("index") == 2 else {})})
        with pytest.raises(StoreError, match="is not what this map has in place 2"):
            work.drawn(strange)


def test_distances_are_flip_s_own_where_all_pixels_are_kept() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 24, 20, 3), dtype=np.uint8)
    pairs = [(i, j) for i in range(5) for j in range(i + 1, 5)]
    exact = mean_errors(torch.from_numpy(images).permute(0, 3, 1, 2), pairs).numpy()
    assert np.allclose(grid_distances(grid_features(images)), exact, atol=1e-6)
    features = grid_features(images, side=8)
    assert features.shape == (5, 5, 8 * 7)
    assert not np.allclose(grid_distances(features), exact, atol=1e-3)


def test_the_plane_keeps_the_distances_of_a_plane() -> None:
    points = np.random.default_rng(1).normal(size=(30, 2))
    table = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    found = plane.scaled(table)
    assert np.allclose(np.sqrt(((found[:, None] - found) ** 2).sum(axis=2)), table)
    corners = plane.hull(np.array([[0.0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]]))
    assert sorted(corners) == [0, 1, 2, 3]


def lots(*middles: tuple[float, float], each: int = 8, spread: float = 0.001) -> np.ndarray:
    """(n (n - 1) / 2,) distances of points in tight lots around these."""
    points = np.repeat(np.array(middles), each, axis=0)
    points = points + np.random.default_rng(0).normal(0, spread, points.shape)
    table = np.sqrt(((points[:, None] - points) ** 2).sum(axis=2))
    return np.asarray(table[np.triu_indices(len(points), 1)], np.float32)


def test_what_most_seeds_do_not_tell_apart_is_one_picture() -> None:
    """Two sizes that two seeds of four show are one picture; what three of four tell apart are two."""
    alike, apart = lots((0, 0), (0, 0), (1, 1)), lots((0, 0), (0, 0.3), (1, 1))
    two, three = np.stack([apart, alike, apart, alike]), np.stack([apart, alike, apart, apart])
    weights = np.repeat(np.eye(3), 8, axis=0)
    found = clusters.find(two, weights)
    assert found.labels.tolist() == [0] * 16 + [1] * 8 and min(found.stability) > 0.6  # type: ignore[type-var]
    assert clusters.find(three, weights).labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    for alone in (alike, apart):
        assert clusters.find(alone[None], weights).labels.max() == (1 if alone is alike else 2)


def test_what_shows_one_picture_on_some_seeds_and_another_on_others_is_none() -> None:
    """A third lot that two seeds of four put to the first and two to the second, which are apart on all."""
    first, second = lots((0, 0), (0, 1), (0, 0)), lots((0, 0), (0, 1), (0, 1))
    weights = np.repeat(np.eye(3), 8, axis=0)
    found = clusters.find(np.stack([first, second, first, second]), weights)
    assert found.labels.tolist() == [0] * 8 + [1] * 8 + [-1] * 8
    assert clusters.find(np.stack([first] * 4), weights).labels.tolist() == [0] * 8 + [1] * 8 + [0] * 8


def test_what_shows_one_picture_on_some_seeds_and_a_rare_one_on_others_is_none() -> None:
    """A small lot that is in a large one on two seeds of four, and far from all on the others."""
    within, away = lots((0, 0), (0, 0), (0, 1), (0, 0)), lots((0, 0), (0, 0), (0, 1), (3, 3))
    weights = np.repeat(np.eye(4), 8, axis=0)
    found = clusters.find(np.stack([within, away, within, away]), weights)
    assert found.labels.tolist() == [0] * 16 + [1] * 8 + [-1] * 8
    assert clusters.find(np.stack([away] * 4), weights).labels.tolist() == [0] * 16 + [1] * 8 + [2] * 8


@pytest.mark.parametrize("names", list(itertools.permutations(range(3))))
def test_pictures_are_the_same_however_the_clusters_are_numbered(names: tuple[int, int, int]) -> None:
    """Half of the seeds hold the first and the second to be one, and others the first and the third, which is far."""
    blocks = np.repeat([0, 1, 2], [3, 4, 5])
    at = np.array([0.0, 0.1, 0.6])[blocks]
    table = np.abs(at[:, None] - at) + 0.01 * (1 - np.eye(12))
    alone = [np.array(row)[blocks] for row in ([0, 0, 1], [0, 0, 1], [0, 0, 0], [0, 1, 0])]
    found = clusters.pictures(table, np.array(names)[blocks], alone, np.ones((12, 12)))
    assert [len(set(found[blocks == block])) for block in range(3)] == [1, 1, 1]
    first, second, third = (int(found[blocks == block][0]) for block in range(3))
    assert (first, second >= 0, third >= 0, second != third) == (-1, True, True, True)


def test_a_candidate_joins_the_cluster_that_its_images_and_its_neighbours_tell() -> None:
    at = np.array([0.0, 1, 2, 3, 10, 11, 12, 13, 5, 6.5])
    labels = np.array([1] * 4 + [0] * 4 + [-1] * 2)
    table = np.abs(at[:, None] - at)
    joined = clusters.adopted(table, labels, clusters.neighbours(at[:, None]))
    assert joined.tolist() == [1, 1, 1, 1, 0, 0, 0, 0, 1, -1]  # 3.5 from the mean one and 6.5; 5 and 5
    elsewhere = np.where(at == 5, 12, at)  # its weights are among those of the other cluster
    assert clusters.adopted(table, labels, clusters.neighbours(elsewhere[:, None])).tolist() == labels.tolist()
    alone = np.where(labels == 0, -1, labels)
    assert clusters.adopted(table, alone, clusters.neighbours(at[:, None])).tolist() == [1] * 4 + [-1] * 6
    assert clusters.adopted(np.zeros((3, 3)), np.full(3, -1), np.ones((3, 3))).tolist() == [-1] * 3


def test_the_surest_candidate_lies_deepest_among_the_weights_of_its_cluster() -> None:
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 1.5, (200, 3))
    labels = np.where(weights[:, 0] > weights[:, 1], 0, 1)  # two rival words, and one that does nothing
    around = clusters.neighbours(weights)
    for cluster, sign in ((0, 1), (1, -1)):
        chosen = clusters.surest(around, labels, cluster)
        depth = sign * (weights[:, 0] - weights[:, 1])
        assert labels[chosen] == cluster and (depth > depth[chosen]).sum() < 10
    assert np.allclose(clusters.neighbours(3.0 * weights - 1.0), around) and np.allclose(np.diag(around), 1.0)
    assert clusters.surest(np.ones((4, 4)), np.array([1, 0, 0, 1]), 0) == 1  # of equals the first


def test_clustering_takes_no_more_than_the_square_of_the_candidates() -> None:
    """The processor's own time; four times as many take at most 16 times as long, and twice that is allowed for."""
    taken = {}
    for count in (200, 800):
        pairs = lots((0, 0), (0, 1), (1, 0), (1, 1), each=count // 4, spread=0.01)[None].repeat(2, axis=0)
        tries, weights = [], np.repeat(np.eye(4), count // 4, axis=0)
        for _ in range(3):
            before = time.process_time()
            assert clusters.find(pairs, weights).labels.max() == 3
            tries.append(time.process_time() - before)
        taken[count] = min(tries)
    assert taken[800] < 32 * taken[200]


def test_the_page_of_a_thousand_candidates_is_small(tmp_path: Path, whole: RunFolder) -> None:
    """No larger than 5 MB even where every picture is noise, of which nothing can be saved."""
    root = tmp_path / "00000000"
    shutil.copytree(whole.path, root)
    work.drawn(RunFolder(root))
    value = json.loads((root / "map.json").read_bytes())
    rng = np.random.default_rng(0)
    for path in (root / "00000001").rglob("*.png"):
        save_image(path, rng.integers(0, 256, (96, 96, 3), dtype=np.uint8))
    places = [value["places"][number % len(value["places"])] for number in range(1000)]
    (root / "map.json").write_text(json.dumps({**value, "places": places}), "utf-8")
    page = build_map(root)
    assert page.read_text("utf-8").count("data:image") >= 1 and 500_000 < page.stat().st_size < 5_000_000


def test_what_is_all_alike_has_no_clusters() -> None:
    for count in (1, 2, 5, 40):
        pairs = np.zeros((2, count * (count - 1) // 2), np.float32)
        assert clusters.find(pairs, np.ones((count, 2))).labels.tolist() == [-1] * count


@pytest.mark.parametrize(
    ("count", "alike", "prompt", "pictures"),
    [
        (2, False, PROMPT, 0),
        (20, True, PROMPT, 0),
        (8, False, "(a:=1) red (blue left right:=1)", 2),
        (8, False, f"{PROMPT} <script>alert(1)</script>", 2),
    ],
    ids=["two", "alike", "one weight", "markup"],
)
def test_pages_of_small_and_strange_maps(tmp_path: Path, count: int, alike: bool, prompt: str, pictures: int) -> None:
    host = Four()
    host.alike = alike
    folder = begin(tmp_path, host, count, prompt=prompt)
    found = work.drawn(folder)
    page = build_map(folder.path).read_text("utf-8")
    assert len(found.clusters) == pictures and ("No clusters" in page) == (not pictures)
    assert "alert(1)</script>" not in page and f"Map {folder.path.name}" in page
    assert "<script>alert" not in build_index(Runs(tmp_path)).read_text("utf-8")


def test_a_radius_with_few_weights_has_few_candidates(tmp_path: Path) -> None:
    few = begin(tmp_path, count=60, radius=0.01, prompt="(a:=1) red (blue left right:=1)").record()
    assert 2 < len(few.candidates) < 22 and few.plan["candidates"] == len(few.candidates)


def test_distances_that_do_not_fit_are_made_again(tmp_path: Path) -> None:
    folder = begin(tmp_path, count=6)
    first, path = work.drawn(folder), folder.path / DISTANCES
    for damage in (b"", b"no array", path.read_bytes()[:-4]):
        path.write_bytes(damage)
        assert untimed(work.drawn(folder)) == untimed(first)
    path.unlink()
    next((folder.path / "00000001").rglob("*.png")).unlink()
    with pytest.raises(StoreError, match="is missing, so this map cannot be drawn"):
        work.drawn(folder)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"count": 8, "vary": "auto"}, "vary: 'auto'"),
        ({"piece": "a cat", "prompt": "{piece} sat"}, "payload"),
        ({"merge_with": "b.safetensors"}, "merge_with"),
        ({"count": 8, "weight_low": 0.9995, "weight_high": 1.0005}, "low"),
    ],
)
def test_what_cannot_be_mapped_is_refused_before_a_folder_is_made(
    tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        begin(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_run_begins_at_a_cluster(tmp_path: Path, whole: RunFolder) -> None:
    found, runs = work.drawn(whole), Runs(whole.path.parent)
    space = build(RunConfig(prompt=PROMPT + " other"))
    warm = warm_start(RunConfig(prompt=PROMPT, warm_start="0/2"), space, runs)
    assert warm is not None
    assert warm.mean.tolist() == [*found.places[found.clusters[1].example].weights, 1.0]
    assert 0.02 < warm.step_size < 0.5 and from_json(to_json(warm)).proven  # type: ignore[union-attr]
    for name in ("0/0", "0/5", f"{whole.path}/9"):
        with pytest.raises(OptionError, match="a cluster of map 00000000, 1 to 4"):
            warm_start(RunConfig(prompt=PROMPT, warm_start=name), space, runs)
    with pytest.raises(OptionError, match="a word in common"):
        warm_start(RunConfig(prompt="x", warm_start="0/1"), build(RunConfig(prompt="x")), runs)
    (tmp_path / "00000000").mkdir()
    for name in ("journal.jsonl", "map.json"):
        shutil.copy(whole.path / name, tmp_path / "00000000" / name)
    (tmp_path / "00000000" / "map.json").write_text('{"axes": [], "places": [{"weights": "x"}], "clusters": [3]}')
    with pytest.raises(OptionError, match="1 to 0"):
        warm_start(RunConfig(prompt=PROMPT, warm_start="0/1"), space, Runs(tmp_path))


def test_a_head_whose_points_do_not_fit_its_axes_is_refused(whole: RunFolder) -> None:
    head = json.loads(whole.journal_path.read_bytes().splitlines()[0])
    assert Checker().fault(head) == ""
    head["points"][3].append(1.0)
    assert "points has not a row of" in Checker().fault(head)


@pytest.mark.parametrize("own", [{"loss_objectives": ["taste"]}, {"mask": "m.png"}, {"target_weights": [1.0, 2.0]}])
def test_the_command_that_pins_to_a_cluster_is_one_that_is_taken(tmp_path: Path, own: dict[str, Any]) -> None:
    """Whatever the map's own run or file says of targets and how they are judged."""
    config = {**RunConfig(prompt="a red circle").to_dict(), **own}
    words = shlex.split(_pin(tmp_path, config, {}, 1, "places/0003"))
    assert words[words.index("--target") + 1] == str(tmp_path / "places/0003")
    assert words[words.index("--warm-start") + 1] == f"{tmp_path}/2"
    assert not {"taste", "--mask", "--target-weights", "--target-weight"} & set(words)
