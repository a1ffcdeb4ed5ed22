"""What a WebUI's page is made of, as gradio tells it, and who may see the runs."""

from __future__ import annotations

import base64
import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from prompt_pins.webui.declared import shown

from tests.patience import HUNG
from tests.webui.client import Webui
from tests.webui.conftest import stand_in


def components(webui: Webui) -> dict[str, list[dict[str, Any]]]:
    """The page's components by their ids."""
    found: dict[str, list[dict[str, Any]]] = {}
    for component in webui.call("/config")[1]["components"]:
        props = component["props"]
        found.setdefault(str(props.get("elem_id")), []).append(props)
    return found


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_every_option_has_one_control_with_its_label_and_default(webui: Webui, tab: str) -> None:
    made = components(webui)
    for option in shown():
        (control,) = made.pop(f"script_{tab}_prompt_pinning_{option.name}")
        assert control["label"] == option.declaration.label
        if option.kind in ("number", "flag", "choice"):
            assert control["value"] == (option.default if option.default is not None else "")
        elif option.kind != "files":
            assert str(control["value"] or "") == ("" if option.default is None else ", ".join(_listed(option.default)))
    left = [name for name in made if name.startswith(f"script_{tab}_prompt_pinning_")]
    assert all(name.endswith(("_plan", "_tree", "_payload_file")) or "_group_" in name for name in left)


def _listed(value: Any) -> list[str]:
    return [str(part) for part in value] if isinstance(value, (list, tuple)) else [str(value)]


def test_the_tab_is_there_with_its_actions(webui: Webui) -> None:
    made = components(webui)
    for name in ("search", "state", "sort", "refresh", "runs", "to_txt2img", "to_img2img", "style", "resume", "folder",
                 "resume_img2img", "compare", "delete", "really_delete", "report", "notation", "exported"):  # fmt: skip
        assert len(made[f"prompt_pins_{name}"]) == 1
    assert made["prompt_pins_really_delete"][0]["visible"] is False


def test_the_runs_ask_for_the_login_of_the_api(webui: Webui, tmp_path_factory: pytest.TempPathFactory) -> None:
    if webui.real:
        pytest.skip("a host with --api-auth is needed")
    with stand_in(tmp_path_factory.mktemp("closed"), {"STAND_IN_API_AUTH": "someone:secret"}) as closed:
        key = re.search(r"data-key='([\w-]+)'", components(closed)["prompt_pins_key"][0]["value"])
        assert key is not None
        basic = {"Authorization": "Basic " + base64.b64encode(b"someone:secret").decode()}
        wrong = {"Authorization": "Basic " + base64.b64encode(b"someone:else").decode()}
        page = {"Cookie": f"prompt-pins-page={key[1]}"}
        for headers, status in (
            ({}, 401),
            (wrong, 401),
            ({"Cookie": "prompt-pins-page="}, 401),
            (basic, 200),
            (page, 200),
        ):
            assert _status(closed.url + "/prompt-pins/v1/runs", headers) == status, headers


def _status(address: str, headers: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=HUNG) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
