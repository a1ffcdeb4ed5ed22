"""Fixtures of more than one part's tests, and how tests run on any machine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from prompt_pins.cli import threads  # noqa: F401 (before torch: threads that wait sleep)

# A busy machine fails no test: slowness is not looked at, and the cases are the same each time.  `make fuzz` looks for
# new ones (`--hypothesis-profile=fuzz`).
ANYWHERE: dict[str, Any] = {"deadline": None, "suppress_health_check": list(HealthCheck), "print_blob": True}
settings.register_profile("test", derandomize=True, database=None, **ANYWHERE)
settings.register_profile("fuzz", max_examples=int(os.environ.get("FUZZ_CASES", "10000")), **ANYWHERE)
settings.load_profile("test")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium without a window; tests that want it are skipped where it or playwright is missing."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("there is no Chromium")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield chromium
        chromium.close()


CASE = re.compile(r"(?:Failing test case|Falsifying example): \w+\((.*?)\n(?:E +)?\)", re.DOTALL)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Under a failure that hypothesis found: the case as a line to put above the test, which then keeps it."""
    found = CASE.search(report.longreprtext) if report.failed else None
    if found:
        case = re.sub(r"\nE {7}", "\n", found[1])
        report.sections.append(("the found case as a test", f"# above {report.nodeid}\n@example({case}\n)"))
