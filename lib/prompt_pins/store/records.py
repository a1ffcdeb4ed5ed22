"""What a journal says: its records as frozen dataclasses, and a run's state as their replay.

Standard library only.  Every record is a JSON object with a `kind`; the keys `time` (ISO 8601, UTC), `seconds` and
`worker` are the only ones that differ between two runs of the same configuration on the same kind of machine.

    run         version, config, host, space (`axes_json`), plan, time      the first line
                task ("pin" where absent; "words": an analysis; "map") and its options
                of an analysis: target_of, the folder whose target it takes (absent: none; a name: beside its own)
                of a map: points, the weights of its candidates, and of_run, the run that they are of ("": of none)
    target      source, images, weights (absent: all alike), payloads (images of each; absent in a plain run)
    likely      what each weight does before the first image (`Likely`)
    candidate   one evaluated candidate (`Candidate`)
    generation  one finished generation (`Generation`)
    choice      the contest between the best candidates (`Choice`)
    held        the check on unseen seeds (`Held`)
    unchanged   of an analysis, or of a run that measures words: the prompt as it is, or the pinned one (`Unchanged`)
    word        of the same: a word, or a phrase, at other weights (`Measured`)
    rendered    by eye: one candidate before anybody has seen it (`Candidate`, without loss)
    question    by eye: what the user is asked (`Question`)
    verdict     by eye: the answer (`Verdict`)
    stopped     reason: the run ended early and can be resumed
    resumed     the run goes on; kept (may be absent): so many candidates count, those after them are done again
    finished    reason: the run is complete
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import StoreError
from .axes import Axis, axes_of
from .questions import Question, Verdict
from .searching import Generation, Likely
from .wordings import Measured, Unchanged


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One weight vector and what its batch was worth.

    generation counts from 1; index is the place in the generation.
    weights: the value of each axis, rounded as printed.
    settings: what it was rendered with besides its prompts, by name.
    loss: None if the candidate failed (then `error` says why), and in a map, where nothing is scored.
    folder: the batch's folder, relative to the run's; a candidate that was evaluated before shares it.
    images: file names in that folder, in the order of the leaves.
    evaluations: denoiser evaluations spent, in images x steps; 0 if nothing was rendered.
    worker: who rendered it, where there were several; "" (and no key of the journal) where there were not.
    Of a run with payloads (no keys without): prompts: (prompt, negative prompt) of each, of which `prompt` and
    `negative_prompt` are the first's; shares: the loss of each as a share of its own original's; piece: the piece at
    these weights.  images then are those of all payloads, one after the other.
    """

    generation: int
    index: int
    id: str
    weights: tuple[float, ...]
    prompt: str
    negative_prompt: str
    loss: float | None
    fit: float | None
    spread: float | None
    folder: str
    images: tuple[str, ...]
    evaluations: int
    error: str = ""
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    worker: str = ""
    prompts: tuple[tuple[str, ...], ...] = ()
    shares: tuple[float, ...] = ()
    piece: str = ""


@dataclasses.dataclass(frozen=True)
class Held:
    """The original and the pinned prompt on seeds that the search never saw.

    fits_original, fits_pinned: mean loss to the targets, one for each seed, paired.
    improvement: 1 - mean(pinned) / mean(original); low and high bound its 95 % bootstrap interval.
    images_original, images_pinned: paths relative to the run's folder.
    pinned: the contest's winner, which is not the run's result where it is worse.
    Of a run with payloads (no keys without): the fits and the improvement are those of all together, as shares of each
    payload's own original; seeds: the first one's.  payload_fits: (P, 2, S) fits of original and pinned of each;
    payload_gains: (P, 3) improvement, low and high of each; checkpoint_gains: of each of several checkpoints.
    The images are those of all, one after the other.
    by_eye (no key of the journal where it is not): the user chose one of two, seed by seed.  A fit is 0 of the one that
    was chosen, 1 of the other, 0.5 of both alike; improvement: by how much more often the pinned one was chosen, from
    -1 to 1, with the exact interval of a sign test.
    """

    seeds: tuple[int, ...]
    fits_original: tuple[float, ...]
    fits_pinned: tuple[float, ...]
    improvement: float
    low: float
    high: float
    images_original: tuple[str, ...]
    images_pinned: tuple[str, ...]
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)
    payload_fits: tuple[tuple[tuple[float, ...], ...], ...] = ()
    payload_gains: tuple[tuple[float, ...], ...] = ()
    checkpoint_gains: tuple[tuple[float, float, float], ...] = ()
    by_eye: bool = False

    @property
    def worse(self) -> bool:
        """Whether the whole interval says that the pinned prompt is worse than the original."""
        return self.high < 0


@dataclasses.dataclass(frozen=True)
class Choice:
    """The contest that names the pinned prompt: the best candidates on the same, independent seeds.

    contestants: ids of candidates; fits[i][s] is the mean loss to the targets of contestant i on seed s.
    chosen: id of the one with the lowest mean, or of the simplest where that is about as low.
    evaluations: denoiser evaluations spent, in images x steps.
    """

    seeds: tuple[int, ...]
    contestants: tuple[str, ...]
    fits: tuple[tuple[float, ...], ...]
    chosen: str
    evaluations: int = 0
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)


ABSENT = (
    "worker", "by_eye", "enough", "prompts", "shares", "piece", "payload_fits", "payload_gains", "checkpoint_gains",
)  # fmt: skip
"""What is no key of a journal where there is none."""
_KINDS: dict[str, type[Any]] = {
    "likely": Likely, "candidate": Candidate, "generation": Generation, "choice": Choice, "held": Held,
    "unchanged": Unchanged, "word": Measured, "question": Question, "verdict": Verdict,
}  # fmt: skip


def to_json(record: Any) -> dict[str, Any]:
    """A record as a journal line."""
    kind = next(kind for kind, cls in _KINDS.items() if isinstance(record, cls))
    plain = {"kind": kind, **dataclasses.asdict(record)}
    if isinstance(record, Measured):  # a side that there is not is no key
        plain = {name: value for name, value in plain.items() if value is not None}
    return {name: value for name, value in plain.items() if value or name not in ABSENT}


def from_json(value: Mapping[str, Any]) -> Any:
    """The record of a journal line of those kinds.  Keys of later versions are ignored."""
    cls = _KINDS[value["kind"]]
    names = {field.name for field in dataclasses.fields(cls)}
    found = cls(**{name: _frozen(item) for name, item in value.items() if name in names})
    return found.whole() if isinstance(found, Measured) else found


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


@dataclasses.dataclass(frozen=True)
class Record:
    """A run as its journal tells it.

    state: "running", "stopped" (can be resumed) or "finished"; reason says why in words.  `RunFolder.record` says
    "interrupted" (can be resumed, too) of one that goes on by its journal, though nobody writes to it.
    config, host, plan: the plain values of the journal's first line.  axes: one for each weight of a candidate.
    target_weights: how much each target counts.  target_counts: how many are each payload's; () in a plain run.
    task: "pin", or "words" for an analysis and "map" for a map, which have `options`.
    of_run, target_of: the run whose candidates a map shows, the folder whose target an analysis takes; "" for none.
    unchanged, words: what an analysis measured, or a run of its pinned prompt, in the order of measuring.
    unranked, questions, verdicts: of a run by eye; what was rendered, also what has its loss since.
    """

    state: str
    reason: str
    started: str
    ended: str
    config: Mapping[str, Any]
    host: Mapping[str, Any]
    axes: tuple[Axis, ...]
    plan: Mapping[str, Any]
    target_source: str
    target_images: tuple[str, ...]
    target_weights: tuple[float, ...]
    likely: Likely | None
    candidates: tuple[Candidate, ...]
    generations: tuple[Generation, ...]
    choice: Choice | None
    held: Held | None
    task: str = "pin"
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    of_run: str = ""
    target_of: str = ""
    unchanged: Unchanged | None = None
    words: tuple[Measured, ...] = ()
    target_counts: tuple[int, ...] = ()
    unranked: tuple[Candidate, ...] = ()
    questions: tuple[Question, ...] = ()
    verdicts: tuple[Verdict, ...] = ()

    @property
    def by_eye(self) -> bool:
        """Whether the user ranks the candidates."""
        return list(self.config.get("loss_objectives") or ()) == ["taste"]

    @property
    def pending(self) -> Question | None:
        """The question that waits for its answer, if one does."""
        last = self.questions[-1] if self.questions and self.state != "finished" else None
        return None if last is None or any(v.number == last.number for v in self.verdicts) else last

    @property
    def rotated(self) -> bool:
        """Whether each generation has image seeds of its own, so that losses of two cannot be compared."""
        return self.config.get("seed_policy") == "rotated"

    @property
    def best(self) -> Candidate | None:
        """The pinned prompt, or the best so far: the contest's winner, but the original where that is better."""
        return self.original if self.found_nothing else self.winner

    @property
    def found_nothing(self) -> bool:
        """Whether the contest's winner is worse than the original on unseen seeds."""
        return self.held is not None and self.held.worse

    @property
    def winner(self) -> Candidate | None:
        """The contest's winner; before the contest, the lowest loss so far (earliest of equals).

        Where each generation has image seeds of its own, losses of two generations cannot be compared: before the
        contest, the best is the search's own.
        """
        if self.choice is not None:
            return next(c for c in self.candidates if c.id == self.choice.chosen and c.loss is not None)
        scored = [candidate for candidate in self.candidates if candidate.loss is not None]
        if self.generations and self.rotated:
            own = tuple(self.generations[-1].state.get("best") or ())
            again = [candidate for candidate in scored if candidate.weights == own]
            if again:
                return again[-1]
        return min(scored, key=lambda c: c.loss or 0.0, default=None)

    def exportable(self) -> Candidate:
        """The pinned prompt, or the best so far.  Raises `StoreError` for a run without a candidate."""
        best = self.best
        if self.task != "pin":
            what = {"words": "an analysis of words", "map": "a map"}.get(self.task, "no run")
            raise StoreError(f"this is {what}, which has no pinned prompt")
        if best is None:
            raise StoreError("no candidate is done yet, so there is nothing to export")
        return best

    @property
    def original(self) -> Candidate | None:
        """The user's own prompt: the first candidate of the first generation."""
        return next(iter(self.candidates), None)

    @property
    def evaluations(self) -> int:
        """Denoiser evaluations spent by the search, in images x steps."""
        before = self.likely.evaluations if self.likely else 0
        return before + sum(candidate.evaluations for candidate in self.candidates)

    @property
    def rendered(self) -> int:
        """Images that an analysis has rendered, without its target's."""
        words = sum(len(side.moved) for word in self.words for side in word.sides.values())
        return words + (len(self.unchanged.images) if self.unchanged else 0)


def replay(lines: Iterable[Mapping[str, Any]]) -> Record:
    """The state that a journal's records add up to."""
    values: dict[str, Any] = {"state": "running", "likely": None, "choice": None, "held": None}
    values |= dict.fromkeys(("reason", "started", "ended"), "")
    values |= {"config": {}, "host": {}, "axes": (), "plan": {}, "target_source": ""}
    values |= {"target_images": (), "target_weights": ()}
    candidates: list[Candidate] = []
    generations: list[Generation] = []
    several: dict[str, list[Any]] = {"word": [], "rendered": [], "question": [], "verdict": []}
    for line in lines:
        kind = line["kind"]
        if kind == "run":
            values |= {name: line.get(name) or {} for name in ("config", "host", "plan")}
            values |= {"axes": axes_of(line.get("space") or {}), "started": line["time"]}
            values |= {"task": line.get("task", "pin"), "options": line.get("options") or {}}
            values |= {name: line.get(name, "") for name in ("of_run", "target_of")}
        elif kind == "target":
            values |= {"target_source": line["source"], "target_images": tuple(line["images"])}
            values["target_weights"] = tuple(line.get("weights") or [1.0] * len(line["images"]))
            values["target_counts"] = tuple(line.get("payloads") or ())
        elif kind == "candidate":
            candidates.append(from_json(line))
        elif kind == "generation":
            generations.append(from_json(line))
        elif kind in several:
            several[kind].append(from_json({**line, "kind": "candidate"} if kind == "rendered" else line))
        elif kind in ("likely", "choice", "held", "unchanged"):
            values[kind] = from_json(line)
        elif kind in ("stopped", "finished"):
            values |= {"state": kind, "reason": line["reason"], "ended": line["time"]}
        elif kind == "resumed":
            values |= {"state": "running", "reason": "", "ended": ""}
            dropped = candidates[line.get("kept", len(candidates)) :]
            if dropped:
                del candidates[line["kept"] :]
                generations = [done for done in generations if done.generation < dropped[0].generation]
    if candidates and len(values["axes"]) != len(candidates[0].weights):
        values["axes"] = tuple(Axis(f"word {i + 1}", 1.0, 0.0, 2.0) for i in range(len(candidates[0].weights)))
    return Record(
        candidates=tuple(candidates),
        generations=tuple(generations),
        words=tuple(several["word"]),
        unranked=tuple(several["rendered"]),
        questions=tuple(several["question"]),
        verdicts=tuple(several["verdict"]),
        **values,
    )
