"""Payloads from a text file, from tables of a file of options, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from prompt_pins.cli.arguments import merged, read_payloads
from prompt_pins.errors import OptionError, PinError
from prompt_pins.headless.engine import HeadlessHost
from prompt_pins.store import Runs

from tests.cli.test_inputs import TINY, Command, command

__all__ = ["command"]


def test_a_file_has_a_payload_a_line_and_its_images_lie_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes("\ufeffa cat\r\n\r\n--prompt 'a dog' --target 'a b.png' --mask m.png\r\n".encode())
    lines = read_payloads(path)
    assert lines[0] == "a cat"
    config = merged("x", None, {"payload": lines})
    assert config.payloads[1].target == (str(tmp_path / "a b.png"),) and config.payloads[1].mask == str(
        tmp_path / "m.png"
    )


def test_tables_of_a_file_of_options(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(
        'piece = "red"\n[[payload]]\nprompt = "a {piece} cat"\ntarget = "t.png"\nweight = 2\n'
        '[[payload]]\nprompt = "the {piece} dog"\nnegative_prompt = ""\nseed = 3\n'
    )
    config = merged(None, path, {})
    first, second = config.jobs()
    assert (first.prompt, first.target, first.seed) == ("a red cat", (str(tmp_path / "t.png"),), 1)
    assert (second.prompt, second.seed, config.payloads[0].weight) == ("the red dog", 3, 2.0)


@pytest.mark.parametrize(
    "text, said",
    [
        ("fine\n\n--seed x\n", "line 3: seed: 'x' is not allowed; allowed: nothing, or a whole number"),
        ("--prompt 'open\n", "line 1: line: "),
        ("--sampler_name Euler\n", "line 1: line: '--sampler_name' is not allowed; allowed: --prompt"),
    ],
)
def test_what_is_wrong_names_file_and_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.txt"
    path.write_text(text)
    with pytest.raises(OptionError) as error:
        read_payloads(path)
    assert str(error.value).startswith(f"{path}, ") and said in str(error.value)


@pytest.mark.parametrize(
    "text, said",
    [
        ('prompt = "x"\n[[payload]]\nsteps = 4\n', "payload 1: option: 'steps' is not allowed"),
        ('prompt = "x"\n[[payload]]\nseed = "x"\n', "payload 1: seed: 'x' is not allowed"),
        ('prompt = "x"\npayload = [4]\n', "payload 1: 4 is not allowed; allowed: a table, or a line of text"),
        ('prompt = "x"\npayload = "a"\n', "payload: 'a' is not allowed; allowed: a list, each text"),
    ],
)
def test_what_is_wrong_with_a_table(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(text)
    with pytest.raises(PinError) as error:
        merged(None, path, {})
    assert said in str(error.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\xff\xfe")
    for path, said in ((tmp_path, "cannot be read"), (tmp_path / "a.bin", "is not a text file")):
        with pytest.raises(PinError, match=said):
            read_payloads(path)


def test_each_payload_left_out_of_a_run_of_its_own(command: Command) -> None:
    lines = ["--payload", "a large {piece} circle", "--payload", "--prompt 'a {piece} star' --seed 5"]
    assert command("pin", "--piece", "yellow blue", *lines, *TINY, "--held-out", "2", "--out", "runs")[0] == 0
    code, printed, _ = command.interrupted(4, "leave-out", "0", "--out", "runs")
    assert code == 1 and "2 runs, each without one payload" in printed and "without payload 2" not in printed
    assert printed.rstrip().splitlines()[-1] == "to go on: prompt-pins leave-out runs/00000000"
    code, printed, errors = command("leave-out", "0", "--out", "runs")
    assert code == 0, errors
    assert [folder.name for folder in sorted(Path("runs").glob("0*"))] == ["00000000", "00000001", "00000002"]
    assert "payload 1, loss on unseen seeds: pinned on all " in " ".join(printed.split())
    states = {number: Runs(Path("runs")).find(number).record() for number in ("1", "2")}
    assert {record.state for record in states.values()} == {"finished"}
    assert [list(record.config["payload"]) for record in states.values()] == [
        ["--prompt 'a {piece} star' --seed 5"], ["a large {piece} circle"],
    ]  # fmt: skip
    with command.patch.context() as patch:
        patch.setattr(HeadlessHost, "render", None)  # all is known
        assert command("leave-out", "0", "--out", "runs")[0] == 0
    assert "two payloads or more" in command.refused("leave-out", "1", "--out", "runs")
