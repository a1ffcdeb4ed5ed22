"""What the WebUI loads: makes the package importable and hands over to it."""

import sys
from pathlib import Path

LIB = str(Path(__file__).resolve().parents[1] / "lib")
if LIB not in sys.path:
    sys.path.insert(0, LIB)

from prompt_pins import webui  # noqa: E402

PromptPinning = webui.attach()
