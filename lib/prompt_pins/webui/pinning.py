"""A run in the WebUI from its first event to its last, and the runs that leave one payload out of an earlier one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ..config import RunConfig
from ..errors import HostError, OptionError, StoreError
from ..merge.sources import check_recorded
from ..report import LiveReport, build
from ..report.merged_file import keep
from ..report.view import left_out_in_words
from ..run import leaving
from ..run.plan import make_plan
from ..store import Record, RunFolder, Runs, events
from ..store.left_out import left_out
from . import blending, checkpoints, compat
from .arguments import RUN
from .following import Ended, followed
from .host import WebuiHost
from .progress import Progress


def begun_earlier(field: str, number: str, runs: Runs, host: WebuiHost) -> tuple[RunFolder, Record]:
    """A run whose own options are used, where the host is as it was.  Raises `PinError`."""
    if not RUN.fullmatch(number.strip()):
        raise OptionError(field, number, "the number of a run")
    folder = runs.find(number.strip())
    record = folder.record()
    host.check_begun(record)
    for name, value in host.job.options.items():
        if record.config.get(name) != value:
            raise OptionError(name, value, f"{record.config.get(name)!r}, as when run {number} began")
    return folder, record


def pinned(
    begin: leaving.Begin,
    config: RunConfig,
    host: WebuiHost,
    console: bool,
    record: Record | None = None,
) -> Ended:
    """A run to its end; of a merge also the merged file, and the model as it was.  record: of one that goes on."""
    with checkpoints.several(config, host), blending.merged(config, host) as merge:
        if merge is not None and record is not None:
            check_recorded(record.host, merge.describe(), merge.sources.paths)
        folder, failure = _listened(begin(), config, host, console)
        if merge is not None and failure is None:
            try:
                for line in keep(folder, lambda: merge.sources):
                    compat.comment(host.job.pristine, line)
            except StoreError as error:
                failure = error
        return folder, failure


def _listened(run: Iterator[events.Event], config: RunConfig, host: WebuiHost, console: bool) -> Ended:
    """The run's folder, and why it failed, if it did; whatever happens, its report is written, its folder let go."""
    progress = Progress(make_plan(config, host), config, host, console)
    with LiveReport() as live:

        def handle(event: events.Event) -> None:
            live.handle(event)
            progress.handle(event)

        return followed(run, events.RunStarted, handle, "run")


def left_one_out(number: str, runs: Runs, host: WebuiHost, console: bool) -> Ended:
    """A run of payloads, once more without each of them; its own page tells what came of it."""
    folder, record = begun_earlier("of_run", number, runs, host)
    whole, failure = RunConfig.from_record(record.config), None

    def follow(_: int, config: RunConfig, begin: leaving.Begin, on: RunFolder | None) -> None:
        host.expects(config)
        failed = pinned(begin, config, host, console, on.record() if on else None)[1]
        if failed is not None:
            raise failed

    @contextlib.contextmanager
    def around() -> Iterator[None]:
        with checkpoints.several(whole, host), blending.merged(whole, host):
            yield

    try:
        if not leaving.finish(folder, record, host, follow, around):
            compat.comment(host.job.pristine, "Prompt pinning: stopped; the same again goes on where it was")
    except (HostError, StoreError) as error:
        failure = error
    for one in left_out(folder) if failure is None else ():
        if one.gains:
            compat.comment(host.job.pristine, f"Prompt pinning: {left_out_in_words(one)}")
    build(folder)
    return folder, failure
