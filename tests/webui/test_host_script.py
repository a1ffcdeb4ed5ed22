"""The script in a WebUI, through its API: runs, their results, refusals, interruption, routes."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
import time
import urllib.error
import urllib.request
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prompt_pins.config import RenderOptions
from prompt_pins.loss.tagger import DEEPDANBOORU

from tests.loss.published import Danbooru
from tests.patience import HUNG
from tests.webui.client import Webui, encoded

SHORT = {"generations": 2, "lambda_": 4, "held_out": 2, "finalists": 1, "contest_seeds": 2, "gifs": False}
QUICK = {"steps": 4, "batch_size": 2}
SAMPLERS = ("DPM++ 2M", "DPM++ SDE", "DPM++ 2M SDE", "DPM++ 3M SDE", "DPM++ 2S a", "Euler", "Euler a", "Heun")


def losses(webui: Webui) -> list[float]:
    """The losses of the latest run's candidates, the centre's last."""
    return [line["loss"] for line in webui.journal(webui.runs()[0]) if line["kind"] == "candidate"]


@pytest.mark.parametrize("name", SAMPLERS)
def test_five_generations_with_each_sampler(webui: Webui, name: str) -> None:
    options = {**SHORT, "generations": 5, "held_out": 0, "finalists": 0, "target": [encoded((30, 60, 220))]}
    status, answer = webui.pin([options], sampler_name=f"{name} - Hyperbatch", **QUICK)
    assert status == 200, answer
    found = losses(webui)
    assert len(found) >= 20 and len(set(found)) == len(found)
    run = webui.runs()[0]
    assert run["state"] == "finished" and run["pinned"]["prompt"] in answer["info"]
    assert len(answer["images"]) == 2


@pytest.mark.parametrize("what", ["txt2img", "hires fix", "img2img"])
def test_sides_that_are_no_multiple_of_8(webui: Webui, what: str) -> None:
    hires = {"enable_hr": True, "hr_scale": 1.3, "hr_upscaler": "Latent", "hr_additional_modules": ["Use same choices"]}
    hires |= {"denoising_strength": 0.7}
    source = {"init_images": [encoded((200, 30, 30), (77, 101))]}
    more: dict[str, Any] = {"txt2img": {}, "hires fix": hires, "img2img": source}[what]
    sides = {} if what == "hires fix" else {"width": webui.pixels + 4, "height": webui.pixels + 7}
    options = {**SHORT, "target": [encoded((30, 60, 220))]}
    tab = "img2img" if what == "img2img" else "txt2img"
    status, answer = webui.pin([options], tab, **QUICK, **more, **sides)
    assert status == 200, answer
    assert webui.runs()[0]["state"] == "finished" and None not in losses(webui)


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_a_whole_run_and_its_files(webui: Webui, tab: str) -> None:
    more: dict[str, Any] = (
        {"init_images": [encoded((200, 30, 30))], "denoising_strength": 0.9} if tab == "img2img" else {}
    )
    options = {**SHORT, **({"pin_to_source": True} if more else {})}
    status, answer = webui.pin([options], tab, **QUICK, **more)
    assert status == 200, answer
    run = webui.runs()[0]
    assert run["tab"] == tab and run["held"] is not None
    kinds = [line["kind"] for line in webui.journal(run)]
    assert kinds[0] == "run" and kinds[-1] == "finished" and {"choice", "held"} <= set(kinds)
    page = f"{webui.url}/prompt-pins/v1/runs/{tab}/{run['run']}/index.html"
    with urllib.request.urlopen(page, timeout=HUNG) as opened:
        assert "<html" in opened.read().decode().lower()


def test_a_transparent_source_is_laid_on_the_hosts_colour_as_target(webui: Webui) -> None:
    source = Image.new("RGBA", (webui.pixels, webui.pixels), (200, 30, 30, 255))
    source.paste((10, 20, 30, 0), (0, 0, webui.pixels // 2, webui.pixels))
    out = io.BytesIO()
    source.save(out, "PNG")
    more: dict[str, Any] = {"init_images": [base64.b64encode(out.getvalue()).decode()]}
    more["override_settings"] = {"img2img_background_color": "#1e3cdc"}
    options = {**SHORT, "generations": 1, "held_out": 0, "finalists": 0, "pin_to_source": True}
    status, answer = webui.pin([options], "img2img", **QUICK, **more)
    assert status == 200, answer
    run = webui.runs()[0]
    target = webui.picture(run, run["target"]["images"][0])
    assert [tuple(target[5, column]) for column in (5, -5)] == [(30, 60, 220), (200, 30, 30)]


@pytest.mark.parametrize(
    ("tab", "wanted", "names"),
    [
        ("txt2img", "cfg_scale:3~9", ["CFG scale"]),
        ("img2img", ["cfg_scale:2~6", "denoising_strength:0.4~0.9"], ["CFG scale", "Denoising strength"]),
    ],
)
def test_settings_vary_beside_the_words(webui: Webui, tab: str, wanted: Any, names: list[str]) -> None:
    more = {"init_images": [encoded((200, 30, 30))], "denoising_strength": 0.7} if tab == "img2img" else {}
    whole = {"early_generations": 0}  # any candidate's batch can be rendered again
    options = {**SHORT, **whole, "vary_settings": wanted, "target": [encoded((30, 60, 220))]}
    status, answer = webui.pin([options], tab, steps=20, batch_size=4, **more)
    assert status == 200, answer
    run = webui.runs()[0]
    lines = webui.journal(run)
    assert [axis["label"] for axis in lines[0]["space"]["axes"]][-len(names) :] == names
    candidates = [line for line in lines if line["kind"] == "candidate"]
    keys = list(candidates[0]["settings"])
    for index, key in enumerate(keys):
        values = {candidate["settings"][key] for candidate in candidates}
        assert candidates[0]["settings"][key] == {"cfg_scale": 4, "denoising_strength": 0.7}[key] and len(values) > 3
        assert all(c["weights"][index - len(keys)] == c["settings"][key] for c in candidates)
    pinned = run["pinned"]["settings"]
    info = json.loads(answer["info"])["infotexts"][0]
    for key, name in zip(keys, names, strict=True):
        assert float(info.partition(f"{name}: ")[2].split(",")[0]) == pinned[key]
    if "denoising_strength" in keys:
        assert len({c["evaluations"] for c in candidates if c["evaluations"]}) > 1
    job = {"prompt": run["pinned"]["prompt"], "negative_prompt": run["pinned"]["negative_prompt"], **more, **pinned}
    job |= {"sampler_name": "DPM++ 2M - Hyperbatch", "seed": json.loads(answer["info"])["seed"]}
    again, more_often = (webui.render(tab, steps=20, batch_size=4, **job).images[-4:] for _ in range(2))
    kept = [webui.picture(run, path) for path in run["thumbnails"]]
    drawn = apart(again, more_often)  # img2img draws its source's latents anew; random networks amplify that
    assert apart(kept, again) <= max(1.0, 4 * drawn)


def apart(one: list[np.ndarray], other: list[np.ndarray]) -> float:
    """The largest mean difference of two images."""
    return max(float(np.abs(a - b).mean()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("tab", "wanted", "more"),
    [
        ("txt2img", "denoising_strength:0.4~0.9", {}),
        ("txt2img", "cfg_scale:5~9", {}),
        ("img2img", "denoising_strength:0.4~0.9", {"fork_policy": "1,2"}),
    ],
)
def test_settings_that_cannot_vary_here_are_refused(webui: Webui, tab: str, wanted: str, more: dict[str, Any]) -> None:
    job = {"init_images": [encoded((200, 30, 30))], "denoising_strength": 0.7} if tab == "img2img" else {}
    status, answer = webui.pin([{**SHORT, **more, "vary_settings": wanted}], tab, steps=8, batch_size=4, **job)
    assert status == 422 and "vary_settings" in str(answer) and wanted in str(answer)


def test_an_earlier_runs_best_batch_is_the_target(webui: Webui) -> None:
    small = {"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0}
    assert webui.pin([{**small, "target": [encoded((30, 60, 220))]}], **QUICK)[0] == 200
    earlier = webui.runs()[0]
    assert webui.pin([{**small, "pin_to_run": int(earlier["run"])}], **QUICK)[0] == 200
    target = webui.runs()[0]["target"]
    assert target["source"] == "images" and len(target["images"]) == 2
    best = [webui.picture(earlier, path) for path in earlier["thumbnails"]]
    kept = [webui.picture(webui.runs()[0], path) for path in target["images"]]
    assert all(np.array_equal(a, b) for a, b in zip(best, kept, strict=True))


def test_options_may_be_text_or_come_by_position(webui: Webui) -> None:
    status, answer = webui.pin(['{"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0}'], **QUICK)
    assert status == 200, answer
    options = webui.call("/prompt-pins/v1/options")[1]["options"]
    chosen = {"generations": 1, "lambda_": 3, "held_out": 0, "finalists": 0}
    status, answer = webui.pin([chosen.get(option["name"], option["default"]) for option in options], **QUICK)
    assert status == 200, answer
    assert len(losses(webui)) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([{"generation": 3}], "generations"),
        ([{"generations": "many"}], "generations"),
        ([{"initial_std": -1}], "initial_std"),
        (['{"initial_std": NaN}'], "initial_std"),
        ([{"target": ["/etc/hosts"]}], "target"),
        ([{"target": [encoded((1, 2, 3), (10_000, 10))], "fit": "squash"}], "fit"),
        ([{"pin_to_source": True}], "pin_to_source"),
        ([{"resume": "../../etc"}], "resume"),
        ([{"resume": "99999999"}], "99999999"),
        ([{"resume": 10**400}], "resume: "),
        ([{"of_run": 10**400, "task": "words"}], "of_run: "),
        ([{"of_run": 10**400, "task": "map"}], "of_run: "),
        ([{"of_run": 10**400, "task": "leave-out"}], "of_run: "),
        ([{"pin_to_run": 10**400}], "pin_to_run: "),
        ([{"warm_start": 10**400}], "warm_start: "),
        ([{"loss_objectives": 5}], "loss_objectives: "),
        ([{"loss_objectives": [5]}], "loss_objectives: "),
        ([{"target": "True"}], "target: "),
        ([{"cma_logging": "yes"}], "cma_logging"),
        ([{"warm_start": "/etc"}], "warm_start"),
        ([{"pin_to_run": "/etc"}], "pin_to_run"),
        ([{"pin_to_run": "99999999"}], "99999999"),
        ([{"target": [encoded((1, 2, 3), (10_000, 10_000))]}], "target-00000.png: 10000 x 10000 pixels"),
        ([1, 2], "script_args"),
        ([None] * 300, "script_args"),
        (["<script>alert(1)</script>"], "script_args"),
    ],
)
def test_bad_input_is_one_message_and_the_host_goes_on(webui: Webui, options: list[Any], said: str) -> None:
    before = len(webui.runs())
    status, answer = webui.pin(options, **QUICK)
    assert 400 <= status < 500, answer
    text = str(answer)
    assert said in text and "Traceback" not in text
    assert len(webui.runs()) == before
    assert webui.call("/sdapi/v1/progress")[1]["state"]["job"] == ""


@pytest.mark.parametrize("value", [{"a": 1}, [[["x"]]]])
def test_no_option_takes_values_of_any_kind(webui: Webui, value: Any) -> None:
    for option in webui.call("/prompt-pins/v1/options")[1]["options"]:
        status, answer = webui.pin([{option["name"]: value}], **QUICK)
        assert status == 422 and f"{option['name']}: " in str(answer), answer


def test_tags_come_from_deepdanbooru_and_are_refused_at_once_without_it(webui: Webui) -> None:
    if webui.root is None:
        pytest.skip("the folder of a WebUI that runs already is not known")
    options = {"loss_objectives": ["tags"], "tags_wanted": ["red circle"], "generations": 1, "lambda_": 2}
    options |= {"held_out": 0, "finalists": 0}
    file = webui.root / "models" / "torch_deepdanbooru" / DEEPDANBOORU
    assert not file.exists()
    before = len(webui.runs())
    status, answer = webui.pin([options], **QUICK)
    assert status == 422 and "models/torch_deepdanbooru" in str(answer) and len(webui.runs()) == before
    file.parent.mkdir(exist_ok=True)
    torch.manual_seed(4)
    held = {**Danbooru(2).state_dict(), "tags": ["red_circle", "dark"]}
    torch.save(held, file, _use_new_zipfile_serialization=False)  # of torch 2.13's own A1111 knows not all parts
    try:
        status, answer = webui.pin([options], **QUICK)
        assert status == 200, answer
        assert len(set(losses(webui))) > 1
    finally:
        file.unlink()


@pytest.mark.parametrize(
    ("setting", "given", "used"),
    [("even", {}, "even"), ("late", {}, "late"), ("late", {"fork_policy": "early"}, "early")],
)
def test_forks_are_the_settings_but_for_the_field(webui: Webui, setting: str, given: dict[str, str], used: str) -> None:
    name = "prompt_pins_fork_policy"
    small = {"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0}
    assert webui.call("/sdapi/v1/options", {name: setting})[0] == 200
    try:
        status, answer = webui.pin([{**small, **given}], steps=4, batch_size=4)
    finally:
        assert webui.call("/sdapi/v1/options", {name: RenderOptions.fork_policy})[0] == 200
    assert status == 200, answer
    assert webui.journal(webui.runs()[0])[0]["config"]["fork_policy"] == used
    assert f"Fork policy: {used}" in json.loads(answer["info"])["infotexts"][0]


@pytest.mark.parametrize("kind", ["jpg", "webp"])
def test_every_image_format_keeps_the_pinned_prompt(webui: Webui, kind: str) -> None:
    options = {"generations": 1, "lambda_": 2, "held_out": 0, "finalists": 0, "image_format": kind}
    status, answer = webui.pin([options], **QUICK)
    assert status == 200, answer
    about = json.loads(answer["info"])
    assert about["infotexts"][0].startswith(webui.runs()[0]["pinned"]["prompt"])
    assert about["extra_generation_params"]["Prompt pins"]["run"] == webui.runs()[0]["run"]


def test_the_axes_of_the_plot(webui: Webui) -> None:
    if not webui.real:
        pytest.skip("the stand-in has no X/Y/Z plot")
    scripts = webui.call("/sdapi/v1/script-info")[1]
    known = next(one["args"] for one in scripts if one["name"] == "x/y/z plot" and not one["is_img2img"])
    axes = known[0]["choices"]
    values = [argument["value"] for argument in known]
    policy, strength = (axes.index(f"Hyperbatch fork {name}") for name in ("policy", "strength"))
    values[:9] = [policy, "", ["even", "none"], strength, "0.5,3", [], 0, "", []]
    plot = {"script_name": "x/y/z plot", "script_args": values, "sampler_name": "DPM++ 2M - Hyperbatch"}
    texts = webui.render(**plot, **QUICK).info["infotexts"][1:]
    assert [("Fork policy: even" in text, "Fork strength: 3" in text) for text in texts] == [
        (True, False), (False, False), (True, True), (False, True)
    ]  # fmt: skip


def test_markup_in_a_prompt_is_text(webui: Webui) -> None:
    options = {**SHORT, "generations": 1, "held_out": 0, "finalists": 0}
    status, answer = webui.pin([options], prompt="a <script>alert(1)</script> circle", **QUICK)
    assert status == 200, answer
    run = webui.runs()[0]
    page = f"{webui.url}/prompt-pins/v1/runs/{run['tab']}/{run['run']}/index.html"
    with urllib.request.urlopen(page, timeout=HUNG) as opened:
        assert "<script>alert(1)" not in opened.read().decode()


def test_an_interrupted_run_is_kept_and_goes_on(webui: Webui) -> None:
    options = {**SHORT, "generations": 30}
    ended: list[Any] = []
    job = threading.Thread(target=lambda: ended.append(webui.pin([options], **QUICK)))
    job.start()
    while job.is_alive():
        progress = webui.call("/sdapi/v1/progress?skip_current_image=true")[1]
        if progress["state"]["job"] and re.search("generation (?!1/)[0-9]", progress["textinfo"] or ""):
            break
        time.sleep(0.1)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    status, answer = ended[0]
    assert status == 200, answer
    run = webui.runs()[0]
    assert run["state"] == "stopped" and run["pinned"]["loss"] is not None
    assert len(answer["images"]) == 2
    assert webui.pin([{"resume": run["run"]}], steps=5, batch_size=2)[0] == 422
    done = len(webui.journal(run))
    ended.clear()
    job = threading.Thread(target=lambda: ended.append(webui.pin([{"resume": run["run"]}], **QUICK)))
    job.start()
    while job.is_alive():
        if len(webui.journal(run)) > done + 2:
            break
        time.sleep(0.1)
    webui.call("/sdapi/v1/interrupt", {})
    job.join(HUNG)
    assert ended[0][0] == 200
    lines = webui.journal(run)
    assert "resumed" in [line["kind"] for line in lines]
    places = [(line["generation"], line["index"]) for line in lines if line["kind"] == "candidate"]
    assert len(places) == len(set(places)) > 1


def test_hires_fix_without_a_strength_is_refused_before_anything_is_rendered(webui: Webui) -> None:
    if not webui.real:
        pytest.skip("the stand-in's API has a strength of its own")
    before = len(webui.runs())
    status, answer = webui.pin([SHORT], **QUICK, enable_hr=True, hr_scale=1.5, denoising_strength=None)
    assert status == 422 and "denoising_strength: None" in str(answer) and len(webui.runs()) == before


@pytest.mark.parametrize("what", ["txt2img", "hires fix", "img2img"])
def test_a_run_goes_on_under_another_denoising_strength_only_where_it_has_none(webui: Webui, what: str) -> None:
    hires = {"enable_hr": True, "hr_scale": 1.5, "hr_upscaler": "Latent", "hr_additional_modules": ["Use same choices"]}
    source = {"init_images": [encoded((200, 30, 30))]}
    more: dict[str, Any] = {"txt2img": {}, "hires fix": hires, "img2img": source}[what]
    tab, small = "img2img" if what == "img2img" else "txt2img", {**SHORT, "generations": 1, "held_out": 0}
    assert webui.pin([small], tab, **QUICK, **more, denoising_strength=0.75)[0] == 200
    again = {**QUICK, **more, "denoising_strength": 0.9}
    status, answer = webui.pin([{"resume": webui.runs()[0]["run"]}], tab, **again)
    assert status == 422
    assert ("denoising_strength: 0.9" if more else "this run is finished") in str(answer)


def test_a_run_leaves_the_host_as_it_was(webui: Webui) -> None:
    before = webui.call("/sdapi/v1/options")[1]
    fresh = webui.render(**QUICK)
    assert webui.pin([{**SHORT, "generations": 1}], **QUICK)[0] == 200
    assert webui.call("/sdapi/v1/options")[1] == before
    again = webui.render(**QUICK)
    assert all(np.array_equal(a, b) for a, b in zip(fresh.images, again.images, strict=True))


@pytest.mark.parametrize(
    "path",
    ["../journal.jsonl", "..%2f..%2fconfig.json", "%2e%2e/%2e%2e/config.json", "/etc/hosts", "nothing.png", "00000001"],
)
def test_the_files_route_stays_inside_the_run(webui: Webui, path: str) -> None:
    run = webui.runs()[-1]
    address = f"{webui.url}/prompt-pins/v1/runs/{run['tab']}/{run['run']}/{path}"
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(address, timeout=HUNG)
    assert refused.value.code == 404


@pytest.mark.parametrize("query", [{"state": "asleep"}, {"sort": "size"}])
def test_the_list_refuses_what_it_does_not_know(webui: Webui, query: dict[str, str]) -> None:
    name, value = next(iter(query.items()))
    assert webui.call(f"/prompt-pins/v1/runs?{name}={value}")[0] == 422


def test_the_plan_in_words(webui: Webui) -> None:
    question = {"prompt": "a red circle", "sampler": "DPM++ 2M - Hyperbatch", "steps": 20, "batch_size": 8}
    status, answer = webui.call("/prompt-pins/v1/plan", {**question, "options": {"generations": 5}})
    assert status == 200 and "3 weights vary" in answer["words"] and "tree saves" in answer["words"]
    assert answer["tree"] == "2 images in steps 1–7, 4 in 8–14, 8 in 15–20"
    one_root = {**question, "options": {"fork_policy": "even"}}
    words = webui.call("/prompt-pins/v1/plan", one_root)[1]["tree"]
    assert words == "1 image in steps 1–5, 2 in 6–10, 4 in 11–15, 8 in 16–20"
    assert webui.call("/prompt-pins/v1/plan", {**question, "sampler": "DPM++ 2M"})[1]["tree"] == ""
    for wrong in (
        {"prompt": ""},
        {"options": 5},
        {"steps": "many"},
        {"options": {"generation": 1}},
        {"batch_size": 1e99},
    ):
        assert webui.call("/prompt-pins/v1/plan", {**question, **wrong})[0] == 422


def test_the_plan_of_a_size_that_there_is_not(webui: Webui) -> None:
    assert webui.pin([{**SHORT, "generations": 1, "held_out": 0}], **QUICK)[0] == 200  # whose pace is known
    question = {"prompt": "a red circle", "steps": 20, "batch_size": 8, "width": 64, "height": 64}
    for name in ("width", "height", "denoising_strength"):
        for value in ("wide", 1e308, [5]):
            assert webui.call("/prompt-pins/v1/plan", {**question, name: value})[0] == 200, (name, value)
    assert webui.call("/prompt-pins/v1/plan", {**question, "width": 10**400})[0] == 422
