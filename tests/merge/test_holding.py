"""What a loaded model's blocks hold, also where a change of them fails on the way."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from prompt_pins.merge.holding import Holding, Put


class Model(Holding):
    """Blocks that are written one by one; it fails after so many."""

    def __init__(self) -> None:
        super().__init__(("BASE", "IN00", "OUT00"))
        self.blocks: dict[str, Put | None] = dict.fromkeys(self.names)
        self.written, self.room = list[str](), 100

    def _write(self, wanted: Mapping[str, Put | None]) -> None:
        for name, put in wanted.items():
            if len(self.written) == self.room:
                raise KeyboardInterrupt
            self.written.append(name)
            self.blocks[name] = put


def test_only_what_differs_is_written() -> None:
    model = Model()
    model.clear()
    assert model.written == []
    model.put({"BASE": 0.5, "IN00": 0.0}, "fp16")
    model.put({"BASE": 0.5, "IN00": 0.25}, "fp16")
    assert model.written == ["BASE", "IN00", "IN00"]
    assert not model.differs({"BASE": 0.5}, "fp16") and model.differs({"BASE": 0.5}, "fp32")
    assert model.differs({"OUT00": 0.0}, "fp16")  # A's own, and not yet rounded as a merge is
    model.clear()
    assert set(model.blocks.values()) == {None} and model.written[3:] == ["BASE", "IN00"]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_what_fails_on_the_way_is_made_good(after: int) -> None:
    model, weights = Model(), {"BASE": 0.1, "IN00": 0.2, "OUT00": 0.3}
    model.put({"BASE": 0.1}, "fp16")
    model.room = len(model.written) + after
    with pytest.raises(KeyboardInterrupt):
        model.put({**weights, "BASE": 0.9}, "fp16")
    model.room = 100
    assert model.differs(weights, "fp16")
    model.put(weights, "fp16")
    assert model.blocks == {name: (weight, "fp16") for name, weight in weights.items()}
    model.room = len(model.written) + after
    with pytest.raises(KeyboardInterrupt):
        model.clear()
    model.room = 100
    model.clear()
    assert set(model.blocks.values()) == {None}
