"""An analysis goes on where it was, bit for bit; `auto` measures phrases first; two analyses are compared by pairs."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from prompt_pins.config import AnalysisOptions, RenderOptions, RunConfig
from prompt_pins.errors import HostError, JournalError, OptionError, PinError, StoreError
from prompt_pins.host import Batch, Recipe
from prompt_pins.report import build_analysis, build_comparison, build_index
from prompt_pins.store import RunFolder, Runs, Wording, read_journal
from prompt_pins.words import parts
from prompt_pins.words.analyze import resume, start
from prompt_pins.words.compare import compare
from prompt_pins.words.earlier import check_paired, of_analysis
from prompt_pins.words.result import AnalysisDone, result

from tests.store.mutations import VICTIM, mutated, rewrite
from tests.words.test_analyze import NEGATIVE, PROMPT, SIZE, Simulated
from tests.words.test_likely import Explained

BOTH = {"images": Simulated, "likelihood": Explained}
LISTED = (
    "strong one two, three four, weak five, six, seven eight nine, ten eleven, twelve, thirteen fourteen, "
    "none fifteen, sixteen seventeen, eighteen nineteen, twenty alone, other words, some more, further ones, last ones"
)


def work(events: Any) -> Any:
    """The result of a whole analysis."""
    *_, last = events
    assert isinstance(last, AnalysisDone)
    return last.result


def begin(out: Path, host: Any, by: str = "images", **options: Any) -> Any:
    config = RunConfig(**{"prompt": PROMPT, "negative_prompt": NEGATIVE, **options})
    return start(config, AnalysisOptions(by=by, analysis_seeds=8), host, Runs(out))


@pytest.mark.parametrize("vary", ["words", "auto"])
@pytest.mark.parametrize("by", BOTH)
def test_a_journal_cut_anywhere_goes_on_to_the_same_result(tmp_path: Path, by: str, vary: str) -> None:
    more = {"vary": vary, "prompt": f"{PROMPT}, bad a, b c d e, f g h i j k"}
    whole = work(begin(tmp_path / "whole", BOTH[by](), by, **more))
    folder = tmp_path / "whole" / "00000000"
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) > 6
    for count in range(1, len(lines) - 1, 3):
        cut = tmp_path / f"cut{count}" / "00000000"
        cut.mkdir(parents=True)
        for name in ("original", "00000000"):
            if (folder / name).is_dir():
                _copied(folder / name, cut / name)
        (cut / "journal.jsonl").write_bytes(b"".join(lines[:count]) + b'{"kind":"torn')
        found = work(resume(RunFolder(cut), BOTH[by]()))
        assert found.words == whole.words and found.seeds == whole.seeds
        assert (found.fit, found.spread, found.evaluations) == (whole.fit, whole.spread, whole.evaluations)


def _copied(source: Path, place: Path) -> None:
    place.mkdir()
    for path in source.iterdir():
        (place / path.name).write_bytes(path.read_bytes())


def test_an_interruption_is_written_down_and_goes_on(tmp_path: Path) -> None:
    whole = work(begin(tmp_path / "whole", Simulated()))
    first = work(begin(tmp_path / "out", Simulated(stop_after=6)))
    assert first.state == "stopped" and 0 < len(first.words) < 4
    folder = Runs(tmp_path / "out").find("0")
    assert folder.record().state == "stopped" and folder.record().task == "words"
    again = work(resume(folder, Simulated()))
    assert again.state == "finished" and again.words == whole.words
    with pytest.raises(StoreError, match="finished"):
        resume(folder, Simulated())


def test_a_fault_of_the_host_is_written_down_and_goes_on(tmp_path: Path) -> None:
    class Broken(Simulated):
        def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
            if "weak" in recipe.prompt and re.search(r"\(weak", recipe.prompt):
                raise MemoryError("too small")
            return super().render(recipe, seeds, job, forked)

    with pytest.raises(HostError, match="too small"):
        list(begin(tmp_path, Broken()))
    record = Runs(tmp_path).find("0").record()
    assert record.state == "stopped" and "too small" in record.reason and len(record.words) == 2
    assert len(work(resume(Runs(tmp_path).find("0"), Simulated())).words) == 4


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    work(begin(tmp_path, Simulated()))
    path = tmp_path / "00000000" / "journal.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"moved":[', b'"moved":[1,', 1))
    with pytest.raises(JournalError, match="line 4: is damaged"):
        Runs(tmp_path).find("0").record()


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ({"label": "a", "side": "prompt", "weight": 1.0, "evaluations": 1}, "neither a lowered nor a raised"),
        ({"label": "a", "side": "prompt", "weight": 1.0, "evaluations": 1, "raised": {"moved": [1.0] * 4}}, "weight"),
        ({"moved": [1.0] * 4, "fits": [1.0] * 4, "spreads": [1.0] * 3}, "not one value for each"),
        ({"moved": [1.0] * 2, "fits": [1.0] * 2, "spreads": [1.0] * 2}, "at least 3"),
        ({}, "at least 3"),
        ({"changes": [[1.0, 2.0], [1.0]]}, "whole table"),
        ({"changes": [[1.0, 2.0]]}, "whole table"),
        ({"changes": [[1.0], [1.0]], "images": ["a"], "moved": []}, "not measured by images"),
        ({"moved": [1.0] * 4, "fits": [1.0] * 4, "spreads": [1.0] * 4, "changes": [[1.0], [1.0]]}, "whole table"),
        ({"moved": [1.0] * 4, "fits": [1.0] * 4, "spreads": [1.0] * 4, "images": ["../x.png"]}, "inside"),
    ],
)
def test_a_line_of_another_shape_is_refused(tmp_path: Path, word: dict[str, Any], said: str) -> None:
    plain = {"weight": 0.5, "prompt": "", "negative_prompt": ""}
    line = word if "label" in word else {"label": "a", "side": "prompt", "weight": 1.0, "evaluations": 1}
    line = line if "label" in word else {**line, "raised": {**plain, **word}}
    folder = Runs(tmp_path).claim()
    head = {"kind": "run", "version": 2, "config": {"prompt": "a"}, "host": {}, "plan": {}, "time": "", "task": "words"}
    head |= {"options": {"by": "likelihood"}} if "changes" in word and word.get("moved") != [] else {}
    with folder.open() as journal:
        journal.append(head)
        journal.append({"kind": "word", **line})
    folder.close()
    with pytest.raises(JournalError, match=said):
        folder.record()


class Spoken(Simulated):
    """Reads a weight around several words as each word's own."""

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        def each(found: re.Match[str]) -> str:
            return " ".join(f"({word}:{found[2]})" for word in found[1].split())

        prompt = re.sub(r"\(([^():]+?)\s*:([\d.]+)\)", each, recipe.prompt)
        return super().render(dataclasses.replace(recipe, prompt=prompt), seeds, job, forked)


def test_auto_costs_a_third_and_finds_the_words_that_move_most(tmp_path: Path) -> None:
    words = work(begin(tmp_path / "words", Spoken(), prompt=LISTED, vary="words"))
    auto = work(begin(tmp_path / "auto", Spoken(), prompt=LISTED, vary="auto"))
    assert 3 * auto.rendered <= words.rendered
    assert [word.label for word in auto.words[:3]] == [word.label for word in words.words[:3]]
    best = {word.label: word for word in words.words}
    assert auto.words[0].phrase == "strong one two" and auto.words[0].seeds == 8
    assert auto.words[0].image.mean == best["strong"].image.mean
    rest = [word for word in auto.words if word.seeds == 4]
    assert rest and all(word.raised is None and word.lowered is not None for word in rest)
    labels = {word.label for word in auto.words}
    assert "strong one two" not in labels and "three four" in labels


def test_auto_measures_each_word_of_a_short_prompt(tmp_path: Path) -> None:
    words, auto = (work(begin(tmp_path / vary, Simulated(), vary=vary)) for vary in ("words", "auto"))
    assert words.words == auto.words
    config = RunConfig(prompt=" ".join(f"word{index}" for index in range(30)), vary="auto")
    assert len(parts.find(config, AnalysisOptions(), Simulated()).phrases) == 1
    tags = ", ".join(f"word{index}" for index in range(30))
    assert parts.find(RunConfig(prompt=tags, vary="auto"), AnalysisOptions(), Simulated()).phrases == ()


def test_phrases_hold_their_own_words(tmp_path: Path) -> None:
    prompt = "(a b:1.2) c, d (e:=1) f g, [h i:j k:0.5], l m n AND (o p@t), q (r@t), <lora:x:1>"
    config = RunConfig(prompt=prompt, negative_prompt="u v, w", vary="auto", vary_loras=True)
    found = parts.find(config, AnalysisOptions(), Simulated())
    inside = [word.label for phrase in found.phrases for word in phrase.words]
    assert sorted(inside) == sorted(part.label for part in found.whole) and len(set(inside)) == len(inside)
    assert all(len(phrase.places) == 1 and phrase.seeds == 4 for phrase in found.phrases)


class Louder(Simulated):
    """Another checkpoint: one word does more, another nothing any more."""

    def describe(self) -> dict[str, Any]:
        return {"name": "simulated", "checkpoint": "louder", "settings": {"eta": 0.5}}

    def render(self, recipe: Recipe, seeds: Sequence[int], job: RenderOptions, forked: bool) -> Batch:
        def louder(text: str) -> str:
            return re.sub(r"\(weak\s*:[\d.]+\)", "weak", re.sub(r"\(none\s*:([\d.]+)\)", r"(strong:\1)", text))

        return super().render(dataclasses.replace(recipe, prompt=louder(recipe.prompt)), seeds, job, forked)


def test_two_analyses_are_compared_word_by_word(tmp_path: Path) -> None:
    work(begin(tmp_path, Simulated()))
    work(begin(tmp_path, Louder(), cfg_scale=3.0))
    found = compare(Runs(tmp_path).find("0"), Runs(tmp_path).find("1"))
    rows = {row.label: row for row in found.words}
    assert rows["none"].image.low > 0 and rows["weak"].image.high < 0
    assert rows["strong"].image.mean == 0.0 and not rows["strong"].image.proven
    assert rows["none"].before == 0.0 and rows["weak"].after == 0.0 and rows["none"].seeds == 8
    told = {change.what: (change.before, change.after) for change in found.changes}
    assert told == {"CFG scale": ("7", "3"), "checkpoint": ("–", "louder"), "eta": ("–", "0.5")}
    assert found.alone == () and found.one_target and found.fit is not None and not found.fit.proven
    assert json.loads(json.dumps(found.to_json()))["words"][0]["label"] == found.words[0].label


def test_a_target_of_which_other_parts_count_is_another_target(tmp_path: Path) -> None:
    names = [str(tmp_path / f"{name}.png") for name in ("one", "two", "top", "left")]
    for name, level in zip(names, (90, 150, 0, 0)):
        Image.fromarray(np.full((SIZE, SIZE, 3), level, np.uint8)).save(name)
    for name, part in zip(names[2:], (np.s_[:4], np.s_[:, :4])):
        shown = np.zeros((SIZE, SIZE), np.uint8)
        shown[part] = 255
        Image.fromarray(shown).save(name)
    two, top, left = {"target": tuple(names[:2])}, {"mask": names[2]}, {"mask": names[3]}
    plain = {**two, "target_weights": (2.0, 2.0)}
    for given in (two, plain, two | top, two | left, {**two, "target_weights": (1.0, 3.0)}, {"target": (names[1],)}):
        work(begin(tmp_path / "runs", Simulated(), **given))
    runs = Runs(tmp_path / "runs")

    def told(before: int, after: int) -> dict[str, tuple[str, str]]:
        found = compare(runs.find(str(before)), runs.find(str(after)))
        assert found.one_target == (not found.changes)
        return {change.what: (change.before, change.after) for change in found.changes}

    assert told(0, 1) == told(2, 2) == {}
    assert told(0, 2) == {"Mask": ("–", "a mask")} and told(2, 0) == {"Mask": ("a mask", "–")}
    assert told(2, 3) == {"Mask": ("a mask", "another mask")}
    assert told(1, 4) == {"Weights of the targets": ("2, 2", "1, 3")}
    assert told(0, 5) == {"Target images": ("2 images", "1 other image")}


def test_folders_may_lie_apart_and_be_where_we_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work(begin(tmp_path / "a", Simulated()))
    work(begin(tmp_path / "b", Simulated()))
    (tmp_path / "b" / "00000000").rename(tmp_path / "b" / "my #1")
    monkeypatch.chdir(tmp_path / "b" / "my #1")
    here, other = Runs(Path("runs")).find("."), Runs(Path("runs")).find("../../a/00000000")
    assert (here.path.name, here.path.parent) == ("my #1", tmp_path / "b")
    page = build_comparison(compare(here, other).to_json(), here.path, other.path)
    assert page.name == "against-my #1.html"
    text = page.read_text("utf-8")
    assert "<h1>Analysis 00000000 against my #1</h1>" in text
    assert 'href="../../b/my%20%231/index.html"' in text and 'href="../../b/my%20%231/original/00000.png"' in text


def test_the_same_difference_on_other_seeds_is_no_pair(tmp_path: Path) -> None:
    work(begin(tmp_path, Simulated()))
    work(begin(tmp_path, Simulated(), seed=9))
    work(begin(tmp_path, Simulated(), prompt="other words", negative_prompt=""))
    runs = Runs(tmp_path)
    with pytest.raises(OptionError, match=r"seed: 9 .* 1, as in analysis 00000000"):
        compare(runs.find("0"), runs.find("1"))
    with pytest.raises(OptionError, match="a word in common"):
        compare(runs.find("0"), runs.find("2"))
    earlier = of_analysis(runs.find("0"))
    for config, options, said in (
        (RunConfig(prompt=PROMPT, seed=2), AnalysisOptions(analysis_seeds=8), "seed: 2"),
        (RunConfig(prompt=PROMPT), AnalysisOptions(analysis_seeds=9), "analysis_seeds: 9"),
        (RunConfig(prompt="nothing alike"), AnalysisOptions(analysis_seeds=8), "prompt: 'nothing alike'"),
    ):
        with pytest.raises(OptionError, match=said):
            check_paired(earlier, config, options, Simulated())
    work(begin(tmp_path, Explained(), "likelihood"))
    earlier = of_analysis(runs.find("3"))
    options = AnalysisOptions(by="likelihood", analysis_seeds=8)
    with pytest.raises(OptionError, match=r"steps: 3 .* 20, as in analysis 00000003"):
        check_paired(earlier, RunConfig(prompt=PROMPT, steps=3), options, Explained())


def test_auto_is_compared_with_the_phrases_that_were_split(tmp_path: Path) -> None:
    work(begin(tmp_path, Spoken(), prompt=LISTED, vary="auto"))
    earlier = of_analysis(Runs(tmp_path).find("0"))
    assert earlier.split[0] == "strong one two"
    config = RunConfig.from_dict({**earlier.values, "prompt": LISTED})
    host = Louder()
    options = AnalysisOptions(**earlier.options)
    other = work(start(config, options, host, Runs(tmp_path), earlier, earlier.split))
    found = compare(Runs(tmp_path).find("0"), Runs(tmp_path).find("1"))
    assert not found.alone and {row.label for row in found.words} == {word.label for word in other.words}


@pytest.mark.parametrize("beside", [True, False])
def test_a_target_of_another_analysis_is_looked_for_where_it_was_not_kept_yet(tmp_path: Path, beside: bool) -> None:
    Image.fromarray(np.full((SIZE, SIZE, 3), 40, np.uint8)).save(tmp_path / "target.png")
    work(begin(tmp_path / "first", Simulated(), target=(str(tmp_path / "target.png"),)))
    (tmp_path / "target.png").unlink()
    earlier = of_analysis(Runs(tmp_path / "first").find("0"))
    runs, options = Runs(tmp_path / ("first" if beside else "other")), AnalysisOptions(**earlier.options)
    whole = work(start(RunConfig.from_dict(earlier.values), options, Simulated(), runs, earlier))
    folder = runs.find("1" if beside else "0")
    assert whole.target_source == "images" and whole.fit > 0.1
    rewrite(folder.journal_path, read_journal(folder.journal_path)[:1])
    shutil.rmtree(folder.generation(0))
    (tmp_path / "first" / "00000000").rename(tmp_path / "away")
    before = folder.journal_path.read_bytes()
    with pytest.raises(StoreError, match=r"it has not kept its target yet, .*first/00000000"):
        resume(folder, Simulated())
    assert folder.journal_path.read_bytes() == before
    (tmp_path / "away").rename(tmp_path / "first" / "00000000")
    if beside:  # all runs may be moved together
        runs = Runs((tmp_path / "first").rename(tmp_path / "moved"))
        folder = runs.find("1")
    again = work(resume(folder, Simulated()))
    assert (again.words, again.fit, again.target_source) == (whole.words, whole.fit, "images")


def test_the_result_is_of_the_record_alone(tmp_path: Path) -> None:
    told = work(begin(tmp_path, Simulated()))
    record = Runs(tmp_path).find("0").record()
    assert result(record) == told and record.words[0].lowered is not None
    assert isinstance(record.words[0].lowered, Wording) and np.mean(record.words[0].lowered.moved) > 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": {"by": "likelihood", "bogus": 1}}, "option: 'bogus'"),
        ({"options": {}}, "not measured by images"),
        ({"config": {"prompt": PROMPT, "seed": "x"}}, "seed: 'x'"),
        ({"split": 5}, "split is 5"),
        ({"host": {"embeddings": ["a"]}}, r"host.embeddings is \['a'\]"),
        ({"host": {"loras": ["a"]}}, "host.loras"),
    ],
)
def test_a_first_line_of_another_kind_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    work(begin(tmp_path, Explained(), "likelihood"))
    folder = Runs(tmp_path).find("0")
    head, *others = read_journal(folder.journal_path)
    rewrite(folder.journal_path, [{**head, **change}, *others])
    for look in (lambda: result(folder.record()), lambda: compare(folder, folder), lambda: of_analysis(folder)):
        with pytest.raises(PinError, match=said):
            look()


def test_tables_of_two_sizes_are_compared_where_both_have_numbers(tmp_path: Path) -> None:
    for _ in range(2):
        work(begin(tmp_path, Explained(), "likelihood"))
    folder, other = Runs(tmp_path).find("0"), Runs(tmp_path).find("1")
    records = read_journal(other.journal_path)
    for side in (line[name] for line in records for name in ("lowered", "raised") if name in line):
        side["changes"] = [row[:2] for row in side["changes"]]
    rewrite(other.journal_path, records)
    assert len(compare(folder, other).words) == 4


@pytest.mark.parametrize("by", BOTH)
def test_a_journal_with_one_fault_is_told_of_or_says_why_not(tmp_path: Path, by: str) -> None:
    for _ in range(2):
        work(begin(tmp_path, BOTH[by](), by))
    runs = Runs(tmp_path)
    folder, other = runs.find("0"), runs.find("1")
    records, told = read_journal(folder.journal_path), 0
    for data in mutated(records, 2, 150, seed=5):
        folder.journal_path.write_bytes(data)
        try:
            folder.save_json("analysis.json", result(folder.record()).to_json())
            build_analysis(folder.path)
            build_comparison(compare(folder, other).to_json(), folder.path, other.path)
            told += 1
        except PinError as error:
            assert str(error)
        assert "00000001" in build_index(runs).read_text("utf-8")
    assert told > 5 and not list(tmp_path.rglob(f"*{VICTIM}*"))
