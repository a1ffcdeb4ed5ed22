"""One run from the script's button to the result that the host shows.

A run is the core's `pin.start` or `pin.resume` with the WebUI as its host; the report, the progress bar and the live
picture listen to it.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from modules import images as host_images
from modules import processing

from ..config import AnalysisOptions, MapOptions, RunConfig
from ..config.payloads import PIECE
from ..errors import HostError, MovedError, OptionError, PinError, TargetError
from ..loss import SCORERS
from ..loss.tagger import find as find_tagger
from ..map import work
from ..options import checked
from ..report.view import verdict
from ..run import pin
from ..run.beginning import picture
from ..store import Record, RunFolder, Runs
from ..words import analyze
from . import checkpoints, compat, history, infotext, map_result, mapping, measuring, overrides, tagger, words_result
from .arguments import RUN_OR_PICTURE, read_arguments, stored_images
from .declared import ANALYSIS, LEAVE_OUT, MAP, SCRIPT, ScriptOptions
from .following import Ended
from .host import WebuiHost
from .job import Job, read_job
from .library import TabRuns
from .pictures import opened
from .pinning import begun_earlier, left_one_out, pinned
from .refusals import RunFailed, in_words

EXTRAS = ("evolution.gif", "cma_plot.png", "cma_mo_plot.png")


def run_job(p: Any, values: Sequence[Any], given: int | None, is_img2img: bool) -> Any:
    """The `Processed` of a run: its best batch, with the pinned prompt as infotext; or of an analysis: its words.

    Of a map: an image of each picture.  Raises `PinError`.
    """
    options = read_arguments(values, given)
    own = checked(ScriptOptions, {name: options.pop(name) for name in SCRIPT if name in options})
    analysis = checked(AnalysisOptions, {name: options.pop(name) for name in ANALYSIS if name in options})
    mapped = checked(MapOptions, {name: options.pop(name) for name in MAP if name in options})
    started = time.perf_counter()
    job = read_job(p)
    checkpoints.load(p)
    runs = TabRuns(compat.runs_folders(), "img2img" if is_img2img else "txt2img")
    console = own.get("cma_logging") is not False
    with tempfile.TemporaryDirectory(prefix="prompt-pins-") as inbox:
        if own.get("resume"):
            host = WebuiHost(job)
            folder, failure = _resumed(str(own["resume"]), runs, host, console)
        elif own.get("task") == LEAVE_OUT:
            host = WebuiHost(job)
            folder, failure = left_one_out(str(own.get("of_run") or ""), runs, host, console)
        else:
            try:
                host, (folder, failure) = _begun(job, options, own, (analysis, mapped), runs, Path(inbox), console)
            except TargetError as error:
                raise TargetError(str(error).replace(f"{inbox}{os.sep}", "")) from error
    if overrides.emphasis_note(p):
        compat.comment(p, f"Prompt pinning: {overrides.emphasis_note(p)}")
    record, more = folder.record(), dict[str, Any]()
    if record.task == analyze.TASK:
        processed, more = words_result.result(p, folder, failure)
    elif record.task == work.TASK:
        processed, more = map_result.result(p, folder, failure)
    else:
        processed = _result(p, folder, failure)
    if own.get("task") != LEAVE_OUT:  # its options are not this run's
        with contextlib.suppress(PinError):
            history.write(infotext.again(folder, record))
    reason = record.reason if failure is None else in_words(failure)
    about = {"run": folder.path.name, "task": record.task, "state": record.state, "reason": reason, **more}
    about |= {"comments": list(p.comments), "seconds": round(time.perf_counter() - started, 3)}
    about |= {"rendering_seconds": round(host.seconds, 3)}
    processed.extra_generation_params = {**processed.extra_generation_params, "Prompt pins": about}
    return processed


def _begun(
    job: Job,
    options: Mapping[str, Any],
    own: Mapping[str, Any],
    more: tuple[Mapping[str, Any], Mapping[str, Any]],
    runs: Runs,
    inbox: Path,
    console: bool,
) -> tuple[WebuiHost, Ended]:
    """A new run or, with that task, a new analysis or map.  more: the options of an analysis, and of a map."""
    words, mapped = (own.get("task") == task for task in (analyze.TASK, work.TASK))
    run = measuring.earlier_run(own.get("of_run"), runs) if words else None
    of_run = mapping.earlier_run(own.get("of_run"), runs) if mapped else None
    piece = str(options.get("piece") or "").strip()
    if run is not None:
        job = measuring.with_prompt(job, run.values)
    elif of_run is not None:
        job = measuring.with_prompt(job, of_run.record.config)
    else:
        job = job.expanded(PIECE if piece else "")
    host = WebuiHost(job)
    config = make_config(job, options, earlier_batch(own, runs), bool(own.get("pin_to_source")), inbox)
    host.expects(config)
    if words:
        return host, measuring.begin(config, more[0], host, runs, None if config.target else run)
    if mapped:
        return host, mapping.begin(config, more[1], host, runs, of_run)
    return host, pinned(lambda: pin.start(config, host, runs), config, host, console)


def earlier_batch(own: Mapping[str, Any], runs: Runs) -> list[str]:
    """The run whose best batch is a target, as one, or the folder of a map's picture; [] where none is asked for.

    Raises `PinError`.
    """
    number = str(own.get("pin_to_run") or "").strip()
    if not number:
        return []
    if not RUN_OR_PICTURE.fullmatch(number):
        raise OptionError("pin_to_run", number, "the number of a run, or of a map's picture: 5/2")
    if (found := picture(number, runs, "pin_to_run")) is not None:
        return [str(found[0].inside(found[1].folder))]
    folder = runs.find(number)
    best = folder.record().best
    if best is None or not best.images:
        raise OptionError("pin_to_run", number, "a run that has images")
    return [str(folder.path)]


def make_config(
    job: Job, options: Mapping[str, Any], earlier_targets: list[str], pin_to_source: bool, inbox: Path
) -> RunConfig:
    """The configuration of a new run.  Raises `PinError`."""
    earlier = str(options.get("warm_start") or "")
    if earlier and not RUN_OR_PICTURE.fullmatch(earlier):
        raise OptionError("warm_start", earlier, "the number of a run, or of a map's picture: 5/2")
    targets = stored_images("target", options.get("target") or [], inbox) + earlier_targets
    masks = stored_images("mask", options.get("mask") or [], inbox)
    if len(masks) > 1:
        raise OptionError("mask", f"{len(masks)} images", "one image")
    if pin_to_source:
        targets += _source(job.pristine, inbox)
    values = {**compat.host_defaults(), **options, **job.options, "prompt": job.positive}
    values |= {"negative_prompt": job.negative, "target": targets, "mask": masks[0] if masks else ""}
    values = checked(RunConfig, values)
    wanted = [name.partition(":")[0].strip() for name in values.get("loss_objectives") or ()]
    if any(name in (*SCORERS, "tags") for name in wanted):
        values["scorers"] = str(compat.scorers_folder())
    config = RunConfig.from_dict(values)
    for number, one in enumerate(config.payloads, 1):
        if one.mask:
            raise OptionError(f"payload {number}: mask", one.mask, "none: all payloads have the run's")
        if one.checkpoint:
            checkpoints.found(f"payload {number}: checkpoint", one.checkpoint)
        for name in one.target:
            if not name.isdecimal():
                allowed = "the number of one of the target images, from 1"
                raise OptionError(f"payload {number}: target", name, allowed)
    if "tags" in wanted and find_tagger(config.scorers, "auto") is None and tagger.find() is None:
        raise OptionError("loss_objectives", "tags", tagger.MISSING)
    return config


def _source(p: Any, inbox: Path) -> list[str]:
    images = getattr(p, "init_images", None) or []
    if not images:
        raise OptionError("pin_to_source", True, "false in txt2img, where no image is redrawn")
    path = inbox / "source.png"
    host_images.flatten(images[0], compat.setting_of(p, "img2img_background_color", "#ffffff")).save(path)
    return [str(path)]


def _resumed(number: str, runs: Runs, host: WebuiHost, console: bool) -> Ended:
    folder, record = begun_earlier("resume", number, runs, host)
    config = RunConfig.from_record(record.config)
    if record.task == analyze.TASK:
        return measuring.go_on(folder, config, host)
    if record.task == work.TASK:
        return mapping.go_on(folder, config, host)
    return pinned(lambda: pin.resume(folder, host), config, host, console, record)


def _result(p: Any, folder: RunFolder, failure: Exception | None) -> Any:
    """What the host shows and returns: the best batch; for the user interface also the evolution and the plots.

    Raises `RunFailed` where there is none because of a fault.
    """
    if isinstance(failure, MovedError):  # there is nothing left to read
        raise RunFailed(folder.path.name, failure, False) from failure
    record = folder.record()
    images, texts = _best_batch(folder, record)
    if not images and (failure or not compat.stopping()):
        errors = [candidate.error for candidate in record.candidates if candidate.error]
        fault = failure or HostError(": ".join([record.reason, *errors[-1:]]))
        raise RunFailed(folder.path.name, fault, record.state != "finished") from failure
    state = f"failed: {in_words(failure)}" if failure else f"{record.state}: {record.reason}"
    compat.comment(p, f"Prompt pins run {folder.path.name}: {'; '.join(filter(None, (state, verdict(record))))}")
    if compat.batch_count(p) > 1:
        compat.comment(p, "Prompt pinning: batch count was ignored; lambda_ sets the number of batches")
    if not compat.is_api(p) and texts:
        text = infotext.again(folder, record)
        for path in (folder.path / name for name in EXTRAS):
            if path.is_file():
                images.append(opened(path))
                texts.append(text)
    names = record.best.images if record.best else ()
    seeds = [int(found[1]) for found in (re.match(r"(?:p[0-9]+-)?[0-9]+-([0-9]+)\.", name) for name in names) if found]
    prompts = _prompts(p, record, len(images))
    return processing.Processed(
        p,
        images,
        seed=seeds[0] if seeds else p.seed,
        info=texts[0] if texts else "",
        all_prompts=[positive for positive, _ in prompts],
        all_negative_prompts=[negative for _, negative in prompts],
        all_seeds=seeds + seeds[:1] * (len(images) - len(seeds)) or [p.seed],
        all_subseeds=[p.subseed] * max(1, len(images)),
        infotexts=texts or [""],
    )


def _prompts(p: Any, record: Record, count: int) -> list[tuple[str, str]]:
    """(prompt, negative prompt) of each of `count` images, at least of one: of payloads each has its own."""
    best = record.best
    first = (p.prompt, p.negative_prompt) if best is None else (best.prompt, best.negative_prompt)
    each = len(best.images) // len(best.prompts) if best and best.prompts else 0
    found = [(texts[0], texts[1]) for texts in (best.prompts if best else ()) for _ in range(each)]
    return [*found, *[first] * max(1, count)][: max(1, count)]


def _best_batch(folder: RunFolder, record: Record) -> tuple[list[Any], list[str]]:
    best = record.best
    if best is None:
        return [], []
    images = [opened(folder.inside(f"{best.folder}/{name}")) for name in best.images]
    return images, [host_images.read_info_from_image(image)[0] or "" for image in images]
