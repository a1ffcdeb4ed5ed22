"""The settings under which a run's batches are rendered; afterwards the host's are as they were.

The host's own way, `override_settings`, writes into the settings themselves.  It puts back only those that its
settings' file names, fails where settings are frozen, and whoever saves settings meanwhile saves it, too.  So the run's
own settings lie in front of the host's, and what the user's request overrides is lent to the settings that lack it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from modules import shared

from ..errors import OptionError
from . import compat

QUIET = {"return_mask": False, "return_mask_composite": False, "show_progress_every_n_steps": 1_000_000}
"""Settings of every batch: only its images come back, and the live preview is the run's own.

A preview period of -1 would show every finished batch.
"""


@contextlib.contextmanager
def in_front(settings: Mapping[str, Any]) -> Iterator[None]:
    """Settings that lie in front of the host's meanwhile: it looks there first, and saves only its own."""
    front = vars(shared.opts)
    before = dict(front)
    own = {name: value for name, value in settings.items() if name in shared.opts.data_labels}
    front.update(own)
    try:
        yield
    finally:
        for name in own:
            del front[name]
            front.update({name: before[name]} if name in before else {})


@contextlib.contextmanager
def in_force(q: Any) -> Iterator[None]:
    """The settings of a job that is rendered meanwhile."""
    opts = shared.opts
    asked = q.override_settings if getattr(q, "override_settings_restore_afterwards", True) else ()
    lent = {name: opts.data_labels[name].default for name in asked if name not in opts.data}
    opts.data.update(lent)
    try:
        with in_front({**QUIET, **compat.emphasis_override(q)}):
            yield
    finally:
        for name, value in lent.items():
            if opts.data.get(name) == value:  # else somebody set it meanwhile
                del opts.data[name]


def check(p: Any) -> None:
    """Raises `OptionError` for a request's own settings that the host does not know, or that switch weights off."""
    for name, value in (p.override_settings or {}).items():
        if name not in shared.opts.data_labels:
            raise OptionError("override_settings", name, "settings that this WebUI has")
        if value in compat.WITHOUT_EMPHASIS.get(name, ()):
            allowed = "a value with which a prompt's weights do something (Original or No norm; true)"
            raise OptionError(f"override_settings, {name}", value, allowed)


def emphasis_note(p: Any = None) -> str:
    """That weights do nothing on the user's own host, and what the run does about it; "" if they do something."""
    for name, value in compat.emphasis_override(p).items():
        return (
            f"the WebUI's setting {name} is {compat.setting(name, None)}: this run is rendered with {value}, but on "
            f"this WebUI its weights do nothing until the setting is {value}, too"
        )
    return ""
