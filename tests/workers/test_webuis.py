"""WebUIs as workers, over HTTP: runs of the command line, and every way in which a WebUI can be wrong."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from prompt_pins.cli import main as cli
from prompt_pins.config import RunConfig
from prompt_pins.errors import OptionError
from prompt_pins.host import Recipe
from prompt_pins.store import RunFolder
from prompt_pins.workers import client, webuis
from prompt_pins.workers.answers import WorkerFault
from prompt_pins.workers.client import Client

from tests.run.test_pin import timeless
from tests.workers.stand_in import StandIn, serving

SMALL = ["--steps", "4", "--batch-size", "2", "--width", "64", "--height", "64", "--lambda", "3", "-g", "2"]
SMALL += ["--held-out", "2", "--finalists", "1", "--contest-seeds", "2", "--no-gifs", "--no-plots"]
PROMPT, SECRET = "a red blue circle", "pa:ss word"
CONFIG = RunConfig(prompt=PROMPT, steps=4, batch_size=2, width=64, height=64)


@pytest.fixture(autouse=True)
def no_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "REST", 0.0)


@contextlib.contextmanager
def farm(*hosts: StandIn) -> Iterator[list[str]]:
    """The addresses of some WebUIs."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(serving(host)) for host in hosts]


def command(words: Sequence[str], urls: Sequence[str], out: Path) -> int:
    sys.argv = ["prompt-pins", *words, *(word for url in urls for word in ("--webui", url)), "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        cli.main()
    code: Any = ended.value.code
    return int(code)


def without_workers(folder: RunFolder) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if name != "worker"} for line in timeless(folder)]


def test_a_run_of_three_webuis_is_that_of_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(StandIn(pause=0.002), StandIn(), StandIn(pause=0.001)) as urls:
        assert command(["pin", PROMPT, *SMALL], urls[:1], tmp_path / "one") == 0
        assert command(["pin", PROMPT, *SMALL], urls, tmp_path / "three") == 0
    said = capsys.readouterr().out
    one, three = (RunFolder(tmp_path / name / "00000000") for name in ("one", "three"))
    assert without_workers(one) == without_workers(three)
    assert {c.worker for c in three.record().candidates if c.evaluations} <= {url[7:] for url in urls}
    assert "the search begins at the original prompt" in said and "plain batches" not in said
    assert re.search(r"127\.0\.0\.1:\d+ [\d.e+]+ img/s, .* of their time waited", said)
    page = (three.path / "index.html").read_text()
    rows = re.findall(r'<tr><td>(127\.0\.0\.1:\d+)</td><td class="num">(\d+)</td><td class="num">(\d+)</td>', page)
    done = [c for c in three.record().candidates if c.evaluations]
    assert sum(int(count) for _, count, _ in rows) == len(done) and {name for name, _, _ in rows} <= {
        url[7:] for url in urls
    }
    shown = (three.path / done[0].folder / "index.html").read_text()
    assert f"rendered by {done[0].worker}" in shown


def test_trees_are_rendered_where_all_can_and_plain_batches_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, plain = StandIn(), StandIn(extension=False)
    words = ["pin", PROMPT, *SMALL, "--fork-policy", "early"]
    with farm(known, plain) as urls:
        assert command(words, urls[:1], tmp_path) == 0
        assert command(words, urls, tmp_path) == 0
    trees = [job for job in known.asked if job["sampler_name"] == "DPM++ 2M - Hyperbatch"]
    assert trees and all(job["override_settings"] == {"prompt_pins_fork_policy": "early"} for job in trees)
    assert {job["sampler_name"] for job in plain.asked} == {"DPM++ 2M"}
    assert {job["scheduler"] for job in known.asked + plain.asked} == {"Karras"}
    assert f"plain batches, no trees: {urls[1][7:]} has no sampler" in capsys.readouterr().out
    assert RunFolder(tmp_path / "00000000").record().host["forks"] is True
    assert RunFolder(tmp_path / "00000001").record().host["forks"] is False


def test_what_the_api_cannot_tell_is_refused_before_a_folder_is_made(tmp_path: Path, capfd: Any) -> None:
    host = StandIn()
    with farm(host) as urls:
        words = ["analyze", PROMPT, "--by", "likelihood", "--steps", "4", "--width", "64", "--height", "64"]
        assert command(words, urls, tmp_path / "none") == 2
    said = "".join(capfd.readouterr())
    assert "by: 'likelihood' is not allowed; allowed: 'images'" in said and "to go on" not in said
    assert host.jobs == 0 and not (tmp_path / "none").exists()


def test_a_login_is_used_and_never_written_down(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with farm(StandIn(auth=f"me:{SECRET}"), StandIn(auth=f"me:{SECRET}")) as urls:
        mixed = [urls[0], urls[1].replace("http://", "http://me:pa%3Ass%20word@")]
        assert command(["pin", PROMPT, *SMALL, "--webui-auth", f"me:{SECRET}"], mixed, tmp_path) == 0
        assert command(["pin", PROMPT, *SMALL], urls, tmp_path / "none") == 2
        assert command(["pin", PROMPT, *SMALL, "--webui-auth", "me"], urls, tmp_path / "none") == 2
        assert command(["pin", PROMPT, *SMALL, "--webui-auth", "me:wrong-one"], urls, tmp_path / "none") == 2
    out = "".join(capfd.readouterr())
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (SECRET, "pa%3Ass", "wrong-one"):
        assert secret not in out and not any(secret.encode() in data for data in written)
    assert "webui_auth: 'the login for http://127.0.0.1:" in out and not (tmp_path / "none").exists()


def test_a_run_goes_on_with_other_webuis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with farm(StandIn(), StandIn()) as urls:
        assert command(["pin", PROMPT, *SMALL], urls[:1], tmp_path / "whole") == 0
        assert command(["pin", PROMPT, *SMALL], urls[:1], tmp_path) == 0
        folder = RunFolder(tmp_path / "00000000")
        lines = folder.journal_path.read_bytes().splitlines(keepends=True)
        folder.journal_path.write_bytes(b"".join(lines[:5]))
        assert command(["resume", "0"], [], tmp_path) == 2
        assert "addresses of WebUIs" in capsys.readouterr().err
        assert command(["resume", "0"], urls[1:], tmp_path) == 0
    whole = without_workers(RunFolder(tmp_path / "whole" / "00000000"))
    assert [line for line in without_workers(folder) if line["kind"] != "resumed"] == whole
    with farm(StandIn(checkpoint="other")) as urls:
        folder.journal_path.write_bytes(b"".join(lines[:5]))
        assert command(["resume", "0"], urls, tmp_path) == 2
    assert "rendered with the checkpoint painted; the WebUIs have other" in capsys.readouterr().err


def test_with_no_webui_left_the_run_stops_and_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with farm(StandIn(fault=lambda job: (200, b"<html>") if job > 4 else None)) as urls:
        from prompt_pins.workers import pool

        hasty = pool.Patience(rest=0.001, tries=3)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pool, "Patience", lambda: hasty)
            secret = [url.replace("http://", "http://me:hidden@") for url in urls]
            assert command(["pin", PROMPT, *SMALL], secret, tmp_path) == 1
    told = capsys.readouterr()
    assert "no worker is left (127.0.0.1:" in told.err and "it answered 200 and no JSON" in told.err
    assert f"resume {tmp_path / '00000000'} --webui {urls[0]}" in told.out
    assert "hidden" not in told.out + told.err
    assert RunFolder(tmp_path / "00000000").record().state == "stopped"


def test_an_analysis_has_workers_too(tmp_path: Path) -> None:
    with farm(StandIn(), StandIn()) as urls:
        words = ["analyze", PROMPT, *SMALL[:8], "--analysis-seeds", "8"]
        assert command(words, urls, tmp_path) == 0


@pytest.mark.parametrize(
    ("others", "options", "words"),
    [
        ([StandIn(checkpoint="other")], [], "webui: 'checkpoint' is not allowed; allowed: the same on all WebUIs"),
        ([StandIn(extra={"samplers": [{"name": "Euler a"}]})], ["--sampler", "DPM++ 2M"], "sampler: 'DPM++ 2M'"),
        ([StandIn()], ["--sampler", "none such"], "sampler: 'none such' is not allowed"),
        ([StandIn()], ["--checkpoint", "mine.safetensors"], "allowed: none, or what the WebUIs have loaded: painted"),
        ([StandIn()], ["--vae", "mine.safetensors"], "the WebUIs' own setting is used"),
        ([StandIn()], ["--device", "cpu"], "device: 'cpu' is not allowed; allowed: none beside --webui"),
        ([StandIn()], ["--width", "0"], "width: 0 is not allowed"),
        ([StandIn()], ["--ray", "local"], "ray: 'local' is not allowed; allowed: none beside --webui"),
        ([StandIn()], ["--emphasis", "no-norm"], ""),
        ([StandIn()], ["--clip-skip", "2"], "webui: 'CLIP_stop_at_last_layers' is not allowed"),
        ([StandIn(extra={"loras": []})], ["--negative", "<lora:faded:1> x"], "'faded' is not allowed"),
        ([StandIn(extra={"embeddings": {}})], ["--negative", "charm"], "'charm' is not allowed"),
        ([StandIn(extra={"samplers": None})], [], "an API (started with --api)"),
        ([StandIn(extra={"samplers": b"<html>"})], [], "a WebUI that answers: it answered 200 and no JSON"),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_left_behind(
    others: list[StandIn], options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with farm(StandIn(), *others) as urls:
        code = command(["pin", PROMPT, *SMALL, *options], urls, tmp_path / "out")
    told = capsys.readouterr()
    if not words:
        assert code == 0
        return
    assert code == 2 and words in told.err and told.err.startswith("error: ") and told.err.count("\n") == 1
    assert not (tmp_path / "out").exists() and not any(host.jobs for host in others)


@pytest.mark.parametrize(
    "url", ["ftp://box", "http://", "http://box:99999", "http://127.0.0.1:9", "http://me:x@127.0.0.1:9"]
)
def test_what_is_no_webui(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["pin", PROMPT, *SMALL], [url], tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert told.startswith("error: webui: ") and "me:x" not in told and not (tmp_path / "out").exists()


def test_the_same_webui_twice(tmp_path: Path) -> None:
    with farm(StandIn()) as urls, pytest.raises(OptionError, match="each WebUI once"):
        webuis.open_webuis([urls[0], f"{urls[0]}/"], (), CONFIG)


def test_a_source_needs_webuis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["pin", PROMPT, *SMALL, "--source", "x.png"], [], tmp_path / "out") == 2
    assert "source: 'x.png' is not allowed; allowed: an image beside --webui" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_webui_that_tells_no_hash_and_tells_it_later() -> None:
    host = StandIn()
    known, host.options["sd_checkpoint_hash"] = host.options["sd_checkpoint_hash"], None
    with farm(host) as urls:
        pool, _ = webuis.open_webuis(urls, (), CONFIG)
        host.options["sd_checkpoint_hash"] = known
        only: Any = pool.workers[0].host
        only.check()
        host.options["sd_model_checkpoint"] = "other.safetensors"
        with pytest.raises(WorkerFault, match="the checkpoint other now, not painted"):
            only.check()
        pool.close()


@pytest.mark.parametrize("name, values", [("randn_source", ("GPU", "CPU")), ("eta_noise_seed_delta", (0, 31337))])
def test_webuis_whose_settings_make_another_image_of_a_seed_are_refused(name: str, values: tuple[Any, Any]) -> None:
    hosts = StandIn(), StandIn()
    for host, value in zip(hosts, values):
        host.options[name] = value
    with farm(*hosts) as urls, pytest.raises(OptionError, match=f"{name}.*the same on all WebUIs"):
        webuis.open_webuis(urls, (), CONFIG)
    hosts[1].options[name] = values[0]
    with farm(*hosts) as urls:
        webuis.open_webuis(urls, (), CONFIG)[0].close()


def test_lossy_images_are_told() -> None:
    host = StandIn()
    for kind, told in (("png", 0), ("jpg", 1)):
        host.options["samples_format"] = kind
        with farm(host) as urls:
            pool, lines = webuis.open_webuis(urls, (), CONFIG)
            pool.close()
        assert sum("send jpg images" in line for line in lines) == told


def test_img2img(tmp_path: Path) -> None:
    Image.new("RGB", (72, 66), (200, 30, 30)).save(tmp_path / "source.png")
    words = ["pin", PROMPT, *SMALL[:4], *SMALL[8:], "--source", str(tmp_path / "source.png")]
    words += ["--vary-settings", "denoising_strength:0.4~0.8", "--denoising-strength", "0.6", "--width", "64"]
    with farm(host := StandIn()) as urls:
        assert command(words, urls, tmp_path) == 0
    assert {job["height"] for job in host.asked} == {64} and all(job["init_images"] for job in host.asked)
    assert len({job["denoising_strength"] for job in host.asked}) > 2
    assert RunFolder(tmp_path / "00000000").record().host["denoising_strength"] == 0.6


def test_another_checkpoint_on_the_way_is_another_worker_s_turn() -> None:
    changed = {"images": [], "info": '{"infotexts": ["x\\nSteps: 1, Model hash: bad0bad0, Model: other"]}'}

    def wrong(job: int) -> tuple[int, Any]:
        return 200, {**changed, "images": good}

    turned, well = StandIn(fault=wrong), StandIn()
    good = well.job("txt2img", {"prompt": "x", "negative_prompt": "", "seed": 1, "batch_size": 1, "cfg_scale": 7,
                                "steps": 1, "sampler_name": "", "width": 64, "height": 64,
                                "override_settings": {}})[1]["images"]  # fmt: skip
    with farm(turned, well) as urls:
        pool, _ = webuis.open_webuis(urls, (), CONFIG)
        for weight in range(4):
            assert pool.render(Recipe(f"(x:1.{weight})"), [1], CONFIG, False).worker == urls[1][7:]
        pool.close()


def test_settings_that_a_webui_has_kept_are_put_back() -> None:
    posted: list[Any] = []

    class Forgetful(StandIn):
        def job(self, tab: str, body: dict[str, Any]) -> tuple[int, Any]:
            found = super().job(tab, body)
            self.options.update(body["override_settings"])
            return found

    host = Forgetful()
    with farm(host) as urls:
        pool, _ = webuis.open_webuis(urls, (), RunConfig(**{**CONFIG.to_dict(), "emphasis": "no-norm"}))
        pool.render(Recipe("x"), [1], RunConfig(**{**CONFIG.to_dict(), "emphasis": "no-norm"}), False)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Client, "post", lambda self, path, body: posted.append((path, body)))
            pool.close()
    assert posted == [("/sdapi/v1/options", {"emphasis": "Original"})]
