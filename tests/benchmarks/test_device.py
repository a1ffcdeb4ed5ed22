"""The benchmark of a GPU, on whatever device there is, with small networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from benchmarks import device


@pytest.fixture
def one_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "SAMPLERS", {"DPM++ SDE": device.SAMPLERS["DPM++ SDE"]})


@pytest.mark.usefixtures("one_sampler")
def test_each_part_is_kept_as_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(quick: bool) -> None:
        raise RuntimeError("out of luck")

    quick = ["--quick", "--device", "cpu", "--repeats", "1", "--json", "--out", str(tmp_path / "out.json"), "--parts"]
    device.main([*quick, "leaf0"])
    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setitem(device.MODELS, "sd15", broken)
        device.main([*quick, "sd15-512", "sdxl-512"])
    figures = json.loads((tmp_path / "out.json").read_text())
    assert json.loads(capsys.readouterr().out) == figures
    leaf, failed, part = (figures["parts"][f"{name}-float32"] for name in ("leaf0", "sd15-512", "sdxl-512"))
    assert leaf["DPM++ SDE"]["by_row"] == 0.0 < leaf["DPM++ SDE"]["largest"]
    assert failed == {"error": "RuntimeError: out of luck"}
    costs = {policy: row["evaluations"] for policy, row in part["policies"].items()}
    assert costs == {"none": 16, "twin": 12, "even": 11, "late": 8}
    assert all(row["sample_seconds"] >= row["network_seconds"] > 0 for row in part["policies"].values())
    assert part["policies"]["none"]["speedup"] == 1.0 and part["scoring"]["cpu"]["loss"] > 0.0
    device.main(["--table", str(tmp_path / "out.json")])
    told = capsys.readouterr().out
    assert "| sdxl-512-float32 | `twin` | 12 of 16 |" in told and "out of luck" in told


def test_the_shapes_are_those_that_were_published() -> None:
    with torch.device("meta"):
        models = {name: make(False) for name, make in device.MODELS.items()}
    weights = {
        name: [sum(p.numel() for p in network.parameters()) for network in model.networks]
        for name, model in models.items()
    }
    assert weights == {
        "sd15": [859_520_964, 83_653_863, 123_060_480],
        "sdxl": [2_567_463_684, 83_653_863, 123_060_480, 694_659_840],
    }
