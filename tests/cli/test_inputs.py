"""Inputs that once ended in a traceback, an endless wait or a silent change, each with what is right."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from prompt_pins.cli import main as program
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.headless.inversion import Inversion, load_inversions, save_inversion
from prompt_pins.store import RunFolder, Runs
from safetensors.torch import load_file, save_file

TINY = ["--steps", "1", "--batch-size", "2", "--held-out", "0", "--finalists", "0", "--width", "64", "--height", "64"]
TINY += ["--no-gifs", "--no-plots", "--lambda", "3"]


class Command:
    """Runs the command line in this process, in a folder of its own."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str]) -> None:
        self.patch, self.capture = patch, capture

    def __call__(self, *words: object) -> tuple[int, str, str]:
        """Exit code, output and errors."""
        self.patch.setattr(sys, "argv", ["prompt-pins", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            program.main()
        told = self.capture.readouterr()
        assert "Traceback" not in told.err
        return int(str(ended.value.code or 0)), told.out, told.err

    def interrupted(self, call: int, *words: object) -> tuple[int, str, str]:
        """The same, of an engine that says that it was stopped when it is asked for the time `call`, from 1."""
        asked: list[bool] = []

        def stopping(host: HeadlessHost) -> bool:
            asked.append(True)
            return len(asked) == call

        with self.patch.context() as patch:
            patch.setattr(HeadlessHost, "interrupted", stopping)
            return self(*words)

    def refused(self, *words: object) -> str:
        """The one sentence of bad input; nothing is left behind."""
        before = set(Path().rglob("*"))
        code, printed, errors = self(*words)
        assert (code, printed) == (2, "") and errors.startswith("error: ") and errors.count("\n") == 1, errors
        assert set(Path().rglob("*")) == before
        return errors


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Command(monkeypatch, capsys)


@pytest.fixture
def emb(tmp_path: Path) -> Path:
    """A folder of one inversion, and three files that are none for this model."""
    folder = tmp_path / "emb"
    folder.mkdir()
    rows = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 48)).astype(np.float32)) * 0.05
    save_inversion(folder / "zqpin.safetensors", Inversion("zqpin", (rows,)))
    (folder / "._zqpin.safetensors").write_bytes(b"\0\5\x16\7 no model")
    save_file({"clip_l": torch.zeros(2, 48), "clip_g": torch.zeros(2, 64)}, folder / "large.safetensors")
    save_file({"emb_params": torch.zeros(2, 64)}, folder / "wide.safetensors")
    return folder


def stop_after(patch: pytest.MonkeyPatch, candidates: int) -> None:
    """Let the host be interrupted after so many batches."""
    render, count = HeadlessHost.render, [0]

    def watched(self: HeadlessHost, *given: Any, **named: Any) -> Any:
        count[0] += 1
        if count[0] > candidates:
            self.interrupt()
        return render(self, *given, **named)

    patch.setattr(HeadlessHost, "render", watched)


def losses(out: str) -> list[float | None]:
    return [candidate.loss for candidate in Runs(Path(out)).find("0").record().candidates]


def test_a_run_goes_on_with_its_own_inversions(command: Command, emb: Path, caplog: pytest.LogCaptureFixture) -> None:
    words = ["zqpin, a red circle", *TINY, "-g", "2", "--embeddings", "emb"]
    assert command("pin", *words, "--out", "whole")[0] == 0
    (told,) = [record.getMessage() for record in caplog.records]
    assert "left out of emb: ._zqpin.safetensors (" in told and "large.safetensors (has vectors of 48 and 64" in told
    assert "wide.safetensors (has vectors of 64 numbers; this model's have 48)" in told
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", *words, "--out", "my runs")
    record = Runs(Path("my runs")).find("0").record()
    assert record.state == "stopped" and list(record.host["embeddings"]) == ["zqpin"]
    elsewhere = Path("elsewhere")
    elsewhere.mkdir()
    shutil.move("my runs", elsewhere)
    command.patch.chdir(elsewhere)
    assert command("resume", "my runs/00000000")[0] == 0
    assert losses("my runs") == losses("../whole")


def unframed(line: dict[str, Any]) -> dict[str, Any]:
    """A journal's line without its number and checksum."""
    return {key: value for key, value in line.items() if key not in ("n", "crc")}


def test_what_a_run_was_rendered_with_is_refused_by_name_when_it_is_gone_or_another(
    command: Command, emb: Path
) -> None:
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", "zqpin, a red circle", *TINY, "-g", "2", "--embeddings", "emb", "--out", "runs")
    (kept,) = (one.vectors for one in load_inversions(emb) if one.name == "zqpin")
    save_inversion(emb / "zqpin.safetensors", Inversion("zqpin", (torch.ones(1, 48),)))
    assert "embeddings: zqpin in" in (told := command.refused("resume", "0", "--out", "runs")) and "another one" in told
    (emb / "zqpin.safetensors").unlink()
    assert "is not there" in command.refused("resume", "0", "--out", "runs")
    save_inversion(emb / "zqpin.safetensors", Inversion("zqpin", kept))
    shutil.move(str(emb), "other place")
    with command.patch.context() as patch:
        stop_after(patch, 1)
        _, printed, _ = command("resume", "0", "--out", "runs", "--embeddings", "other place")
    assert "to go on: prompt-pins resume runs/00000000 --embeddings 'other place'\n" in printed
    assert "emb is not a folder" in command.refused("resume", "0", "--out", "runs")
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", "a red circle", *TINY, "-g", "2", "--out", "plain")
    assert "rendered without" in command.refused("resume", "0", "--out", "plain", "--embeddings", "plain")
    journal = Path("plain/00000000/journal.jsonl")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for key in ("embeddings", "checkpoint_sha256", "prediction", "device"):
        del lines[0]["host"][key]
    lines[0]["version"] = 1  # as an earlier version wrote it: without numbers and checksums
    journal.write_text("".join(json.dumps(unframed(line)) + "\n" for line in lines))
    assert command("resume", "0", "--out", "plain")[0] == 0


def test_a_checkpoint_is_written_down_from_the_root_and_never_replaced_silently(command: Command) -> None:
    from prompt_pins.headless.checkpoint import EMBEDDED

    for suffix in (".safetensors", ".yaml"):
        shutil.copy(EMBEDDED.with_suffix(suffix), f"mine{suffix}")
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", "a red circle", *TINY, "-g", "2", "--checkpoint", "mine.safetensors", "--out", "runs")
    assert RunFolder(Path("runs/00000000")).record().config["checkpoint"] == str(Path("mine.safetensors").absolute())
    data = bytearray(Path("mine.safetensors").read_bytes())
    data[-1] ^= 1
    Path("mine.safetensors").write_bytes(data)
    told = command.refused("resume", "0", "--out", "runs")
    assert "mine.safetensors is not the one that this run was rendered with" in told
    shutil.copy(EMBEDDED, "mine.safetensors")
    beside = Path("mine.yaml").read_text()
    Path("mine.yaml").write_text(beside + "\n# another")
    assert "whose configuration sha256 is" in command.refused("resume", "0", "--out", "runs")
    Path("mine.yaml").write_text(beside)
    place = Path("runs/00000000").absolute()
    Path("below").mkdir()
    command.patch.chdir("below")
    with command.patch.context() as patch:
        stop_after(patch, 1)
        assert command("resume", place)[0] == 1
    for suffix in (".safetensors", ".yaml"):
        shutil.move(f"../mine{suffix}", f"moved{suffix}")
    assert "mine.safetensors does not exist" in command.refused("resume", place)
    assert command("resume", place, "--checkpoint", "moved.safetensors")[0] == 0


def test_an_autoencoder_that_moved_is_named_to_go_on(command: Command) -> None:
    from prompt_pins.headless.checkpoint import EMBEDDED

    mark = "first_stage_model."
    weights = {key.removeprefix(mark): part for key, part in load_file(EMBEDDED).items() if key.startswith(mark)}
    save_file(weights, "vae.safetensors")
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", "a red circle", *TINY, "-g", "2", "--vae", "vae.safetensors", "--out", "runs")
    Path("vae.safetensors").rename("moved.safetensors")
    assert "vae.safetensors does not exist" in command.refused("resume", "0", "--out", "runs")
    save_file({key: part * 2 for key, part in weights.items()}, "vae.safetensors")
    assert "is not the one that this run was" in command.refused("resume", "0", "--out", "runs")
    assert command("resume", "0", "--out", "runs", "--vae", "moved.safetensors")[0] == 0


def test_a_folder_of_scorers_is_no_matter_of_the_host(command: Command) -> None:
    assert command("pin", "a red circle", *TINY, "-g", "1", "--scorers", "none", "--out", "runs")[0] == 0
    assert "none/clip/config.json" in command.refused(
        "pin", "a", *TINY, "--scorers", "none", "--loss-objectives", "clip"
    )


def test_a_target_is_read_until_it_is_kept_and_then_no_more(command: Command) -> None:
    """A run that was killed before its target's line has rendered nothing: it begins as a new one would."""
    blue, red = (Image.new("RGB", (64, 64), colour) for colour in ((20, 40, 220), (220, 30, 30)))
    words = ["pin", "a red circle", *TINY, "-g", "2", "--target", "goal.png"]
    blue.save("goal.png")
    with command.patch.context() as patch:
        stop_after(patch, 1)
        command(*words, "--out", "kept")
        command(*words, "--out", "killed")
    journal = Path("killed/00000000/journal.jsonl")
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    red.save("goal.png")
    assert command(*words, "--out", "whole")[0] == command("resume", "0", "--out", "killed")[0] == 0
    assert losses("killed") == losses("whole")
    Path("goal.png").unlink()
    assert command("resume", "0", "--out", "kept")[0] == 0
    assert losses("kept")[0] not in (None, losses("whole")[0])
    journal.write_text(journal.read_text().splitlines(keepends=True)[0])
    code, _, errors = command("resume", "0", "--out", "killed")
    assert code == 1 and "goal.png: cannot be read" in errors


@pytest.mark.parametrize("preset", ["Classic", "Balanced", "Quick"])
def test_a_search_that_starts_again_goes_on_as_if_it_had_not_been_stopped(command: Command, preset: str) -> None:
    words = ["pin", "a red circle", *TINY, "-g", "6", "--preset", preset, "--restarts", "3"]
    words += ["--patience", "1", "--min-progress", "1"]
    assert command(*words, "--out", "whole")[0] == 0
    states = [generation.state["restart"] for generation in Runs(Path("whole")).find("0").record().generations]
    with command.patch.context() as patch:
        stop_after(patch, 3 * (1 + len(states) // 2))
        assert command(*words, "--out", "parts")[0] == 1
    assert command("resume", "0", "--out", "parts")[0] == 0
    assert max(states) >= 1 and losses("parts") == losses("whole")


def test_a_run_of_a_webui_does_not_go_on_here(command: Command) -> None:
    with command.patch.context() as patch:
        stop_after(patch, 2)
        command("pin", "a red circle", *TINY, "-g", "2", "--out", "runs")
    journal = Path("runs/00000000/journal.jsonl")
    lines = [unframed(json.loads(line)) for line in journal.read_text().splitlines()]
    lines[0] |= {"version": 1, "host": {**lines[0]["host"], "name": "webui"}}
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "run: 'webui' is not allowed" in command.refused("resume", "0", "--out", "runs")


def test_the_hint_to_go_on_can_be_copied(command: Command) -> None:
    stop_after(command.patch, 2)
    _, printed, _ = command("pin", "a red circle", *TINY, "-g", "2", "--out", "my runs; $HOME")
    assert "to go on: prompt-pins resume 'my runs; $HOME/00000000'\n" in printed or os.name == "nt"


def test_a_finished_run_gets_its_report(command: Command) -> None:
    assert command("pin", "a red circle", *TINY, "-g", "1", "--out", "runs")[0] == 0
    page = Path("runs/00000000/index.html")
    page.unlink()
    code, printed, _ = command("resume", "0", "--out", "runs")
    assert code == 0 and "this run is finished; its report is drawn again" in printed and page.is_file()


def test_an_empty_path_is_none_everywhere(command: Command) -> None:
    Image.new("RGB", (64, 64), "red").save("goal.png")
    Path("a.toml").write_text('prompt = "a red circle"\ntarget = ["goal.png"]\nmask = ""\ncheckpoint = ""\n')
    code, _, _ = command("pin", "--config", "a.toml", "--embeddings", "", *TINY, "-g", "1", "--out", "runs")
    assert code == 0 and not list(Path("runs/00000000/00000000").glob("mask-*"))
    code, printed, _ = command("export", "0", "--to", "", "--out", "runs")
    assert code == 0 and printed


def test_a_file_with_a_mark_of_its_byte_order_is_read(command: Command) -> None:
    Path("bom.toml").write_bytes(b'\xef\xbb\xbfprompt = "a red circle"\r\nsteps = -1\r\n')
    assert "steps: -1" in command.refused("pin", "--config", "bom.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps = inf", "steps: inf is not allowed; allowed: a whole number from 1 to 1000"),
        ("max_images = 1" + "0" * 400, "max_images: 1000"),
        ("max_images = 1" + "0" * 5000, "is not a TOML file (Exceeds the limit"),
        ("target = " + "[" * 20000, "too deep"),
        ("target = " + "[" * 300 + "]" * 300, "target: "),
        ("target = [1]", "target: [1] is not allowed"),
        ("generations = 1e308", "generations: 10000000000000000109"),
        ("initial_std = 1e300", "initial_std: 1e+300 is not allowed"),
        ("initial_radius = 1e308", "initial_radius: 1e+308 is not allowed"),
        ("lambda_ = 1000000000", "lambda_: 1000000000 is not allowed"),
        ("width = 8192\nheight = 8192", "width: '8192 x 8192' is not allowed"),
        ('target = ["a\\u0000b"]', "cannot be read (embedded null byte)"),
        ('checkpoint = "a\\u0000b"', "checkpoint: "),
    ],
)
def test_a_file_of_options_that_no_run_can_have(command: Command, text: str, message: str) -> None:
    Path("a.toml").write_text(f'prompt = "a red circle"\n{text}\n')
    assert message in command.refused("pin", "--config", "a.toml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a cat", "--device", "gpu"], "device: 'gpu' is not allowed; allowed: cpu, or cuda"),
        (["a cat", "--device", "meta"], "device: 'meta' is not allowed"),
        (["a [red:blue:1e999] cat"], "of a schedule: it is too large"),
        (["a cat AND a dog :" + "9" * 400], "the host cannot use the AND weight '999"),
        (["a \udcff cat"], "text of whole characters"),
        (["a cat", "--target", "n" * 300], "File name too long"),
        (["a cat", "--checkpoint", "n" * 300], "File name too long"),
        (["a cat", "--embeddings", "n" * 300], "File name too long"),
        (["a cat", "--mask", "n" * 300], "File name too long"),
        (["a cat", "--target", "/dev/zero"], "/dev/zero: is a special file"),
        (["a cat", "--mask", "/dev/zero"], "/dev/zero: is a special file"),
        (["a cat", "--config", "/dev/zero"], "larger than 4 MiB"),
        (["a cat", "--checkpoint", "/dev/zero"], "is not a .safetensors file"),
        (["a cat", "--embeddings", "/dev/zero"], "is not a folder"),
        (["a cat", "--max-images", "9" * 5000], "max_images: '9999"),
        (["a cat", "--batch-size", "1e9"], "batch_size: '1e9' is not allowed; allowed: a whole number from 1 to 1024"),
        (["a cat", "--cfg-scale", "high"], "cfg_scale: 'high' is not allowed; allowed: a number from 1 to 100"),
        (["a cat", "--target-weights", "1", "--target-weights", "x"], "target_weights: 'x' is not allowed"),
        (["a cat", "--no-such"], "No such option: --no-such"),
        ([" ".join(f"w{i}" for i in range(2001))], "prompt: '2001 weights' is not allowed"),
        (["a cat", "--restarts", "1", "--objectives", "2"], "restarts: 1 is not allowed"),
    ],
)
def test_a_command_line_that_cannot_be_followed(command: Command, words: list[str], message: str) -> None:
    assert message in command.refused("pin", *words, "--out", "runs")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no such files here")
def test_a_pipe_that_nobody_writes_to_is_not_waited_for(command: Command) -> None:
    for suffix in ("png", "toml", "safetensors"):
        os.mkfifo(f"fifo.{suffix}")
    for option, suffix in (("target", "png"), ("mask", "png"), ("config", "toml"), ("checkpoint", "safetensors")):
        told = command.refused("pin", "a cat", f"--{option}", f"fifo.{suffix}")
        assert "is a special file" in told or "is not a .safetensors file" in told


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu(command: Command) -> None:
    assert "device: 'cuda' is not allowed" in command.refused("pin", "a cat", "--device", "cuda")


def test_the_largest_seed_is_taken(command: Command) -> None:
    assert command("pin", "a red circle", *TINY, "-g", "1", "--cma-seed", 2**63 - 1, "--out", "runs")[0] == 0


def test_a_word_that_cannot_move_is_not_measured(command: Command) -> None:
    words = ["--steps", "1", "--width", "64", "--height", "64", "--analysis-seeds", "8", "--out", "runs"]
    assert "nothing to vary" in command.refused("analyze", "(red:1~1.0001) (circle:=1)", *words)
    code, printed, _ = command("analyze", "(red:1~1.0001) circle", *words, "--json")
    assert code == 0 and [word["label"] for word in json.loads(printed)["words"]] == ["circle"]


def test_an_analysis_by_likelihood(command: Command) -> None:
    words = ["analyze", "a red circle", "--steps", "1", "--width", "64", "--height", "64", "--batch-size", "2"]
    assert "by: 'guess' is not allowed" in command.refused(*words, "--by", "guess")
    code, printed, _ = command(*words, "--out", "runs", "--by", "likelihood")
    assert code == 0 and "misfit" in printed and "A hint" in printed
    assert "likelihood" in Path("runs/00000000/index.html").read_text("utf-8")


EVIL = "\x1b]0;gone\x07\x9b31m\u202e\x7f"


def test_nothing_commands_the_terminal(command: Command) -> None:
    code, printed, _ = command("pin", f"a red {EVIL} circle", *TINY, "-g", "1", "--out", f"runs{EVIL}")
    assert code == 0 and "\\x1b]0;gone\\x07\\x9b31m" in printed
    told = [printed, command("pin", "a cat", "--target", f"no{EVIL}\n.png")[2], command("pin", f"--no{EVIL}")[2]]
    told += [command("resume", f"no{EVIL}")[2], command("export", "0", "--format", EVIL, "--out", f"runs{EVIL}")[2]]
    for text in told:
        assert text and not set(text) & set(EVIL.replace("]0;gone", "").replace("31m", "")), text


def test_text_that_means_something_to_rich_is_printed_as_it_is(command: Command) -> None:
    code, printed, _ = command("pin", "a :cat: [bold]red[/bold] circle", *TINY, "-g", "1", "--out", "runs")
    assert code == 0 and ":cat:" in printed and "(bold:" in printed


@pytest.mark.parametrize("notation", ["text", "embedding"])
def test_a_place_for_an_export_is_tried_first(command: Command, notation: str) -> None:
    assert command("pin", "a red circle", *TINY, "-g", "1", "--out", "runs")[0] == 0
    Path("folder.safetensors").mkdir()
    words = ["export", "0", "--out", "runs", "--format", notation, "--to"]
    assert "folder.safetensors: cannot be written" in command.refused(*words, "folder.safetensors")
    assert "cannot be written (File name too long)" in command.refused(*words, "n" * 300 + ".safetensors")
    Path("file").write_text("")
    assert "cannot be written" in command.refused(*words, "file/a.safetensors")
    if notation == "embedding":
        for name in ("(my) word", "a,b", "AND", "[x]", "<lora:x>", "a:1", "...", " x"):
            assert "to: " in command.refused(*words, f"{name}.safetensors")


def test_an_embedding_is_baked_with_the_runs_own_inversions(command: Command, emb: Path) -> None:
    from prompt_pins.cli import baking as bake

    command("pin", "zqpin, a red circle", *TINY, "-g", "1", "--embeddings", "emb", "--out", "runs")
    seen = []
    command.patch.setattr(bake, "bake_run", lambda record, host, to: seen.append(host.embeddings()) or "baked")
    assert command("export", "0", "--out", "runs", "--format", "embedding", "--to", "a.safetensors")[0] == 0
    assert seen == [("zqpin",)]
