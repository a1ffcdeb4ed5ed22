"""What an analysis takes from something earlier: a finished run's pinned prompt, or another analysis."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ..config import NO_TARGET, AnalysisOptions, RunConfig
from ..errors import OptionError, StoreError, TargetError
from ..host import Host
from ..loss import Target, fit_targets
from ..run.targets import kept_targets
from ..store import Record, RunFolder
from ..store.wordings import shown
from . import parts
from .result import paired

FROM_ANALYSIS = ("by", "analysis_seeds", "analysis_step")


@dataclasses.dataclass(frozen=True)
class Earlier:
    """values: plain values of a configuration.  options: of an analysis.  split: phrases that `auto` is to split."""

    folder: RunFolder
    record: Record
    values: dict[str, Any]
    options: dict[str, Any]
    split: tuple[str, ...] = ()

    def targets(self, config: RunConfig, host: Host) -> tuple[Target, ...]:
        """Its own target, whose files need not be where they were; fitted to the images of another size."""
        return _fitted(self.folder, self.record, config, host)

    def place(self, beside: Path) -> str:
        """Its folder, for the journal of an analysis in `beside`: the name alone where it lies there, too."""
        path = self.folder.path.absolute()
        return path.name if path.parent.resolve() == beside.resolve() else str(path)


def of_journal(folder: RunFolder, record: Record, config: RunConfig, host: Host) -> tuple[Target, ...] | None:
    """The target that an analysis takes from another folder and has not kept yet; None where that is not so.

    Raises `StoreError` where it is not there any more.
    """
    if record.target_source or not record.target_of:
        return None
    source = RunFolder(folder.path.parent / record.target_of)
    try:
        found = _fitted(source, source.record(), config, host)
    except (StoreError, TargetError, ValueError) as error:  # a ValueError: a name that no file can have
        raise StoreError(f"{folder.path}: it has not kept its target yet, which is that of another: {error}") from error
    if not found:
        raise StoreError(f"{folder.path}: it has not kept its target yet, and {source.path} has none")
    return found


def _fitted(folder: RunFolder, record: Record, config: RunConfig, host: Host) -> tuple[Target, ...]:
    return fit_targets(kept_targets(folder, record), host.size(config), config.fit, None)


def of_run(folder: RunFolder) -> Earlier:
    """A run's pinned prompt with its own target and settings.  Raises `OptionError` for a run that is not finished."""
    record = folder.record()
    if record.task != "pin" or record.state != "finished" or record.best is None:
        raise OptionError("run", folder.path.name, "the number of a finished run")
    if record.target_counts:
        raise OptionError("run", folder.path.name, "a run without payloads: words are measured on one prompt")
    if record.config.get("merge_with"):
        raise OptionError("run", folder.path.name, "a run that pinned no merge; its merged file is a --checkpoint")
    if record.by_eye:
        raise OptionError("run", folder.path.name, "the number of a run that has a target (this one was ranked by eye)")
    values = RunConfig.from_record(record.config).to_dict()
    values |= {"prompt": record.best.prompt, "negative_prompt": record.best.negative_prompt}
    values |= {"cfg_scale": record.best.settings.get("cfg_scale", values["cfg_scale"]), "vary_settings": []}
    return Earlier(folder, record, {**values, **NO_TARGET}, {})


def of_analysis(folder: RunFolder) -> Earlier:
    """Another analysis, to be compared with.  Raises `OptionError` for a run, and for one that has no word."""
    record = folder.record()
    if record.task != "words" or not record.words:
        raise OptionError("against", folder.path.name, "the number of an analysis that has measured a word")
    values = RunConfig.from_record(record.config).to_dict()
    split = tuple(dict.fromkeys(word.phrase for word in shown(record.words) if word.phrase))
    return Earlier(folder, record, {**values, **NO_TARGET}, vars(AnalysisOptions.from_record(record.options)), split)


def check_paired(earlier: Earlier, config: RunConfig, options: AnalysisOptions, host: Host) -> None:
    """Raises `OptionError` where two analyses will have nothing that is paired: other seeds or steps, other words."""
    known = {**earlier.values, **earlier.options}
    found = {**config.to_dict(), **vars(options)}
    for name in (*paired(options.by), "vary", *FROM_ANALYSIS):
        if found[name] != known[name]:
            raise OptionError(name, found[name], f"{known[name]!r}, as in analysis {earlier.folder.path.name}")
    own = parts.find(config, options, host)
    labels = {part.label for part in (*own.whole, *own.phrases)}
    if not labels & {word.label for word in shown(earlier.record.words)}:
        raise OptionError("prompt", config.prompt, f"words of analysis {earlier.folder.path.name}")
