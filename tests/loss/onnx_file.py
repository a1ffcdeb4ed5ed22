"""A tiny network as an ONNX file, written field by field (https://onnx.ai/onnx/repo-docs/IR.html).

Images B x side x side x 3 are averaged over their pixels, multiplied by a matrix and pressed into 0 to 1.
"""

from __future__ import annotations

import numpy as np

FLOAT, INTS = 1, 7


def network(side: int, matrix: np.ndarray, shift: np.ndarray) -> bytes:
    """Probabilities sigmoid(mean(x) @ matrix + shift): matrix 3 x T, shift T."""
    axes = _text(1, "axes") + _number(8, 1) + _number(8, 2) + _number(20, INTS)
    flat = _text(1, "keepdims") + _number(3, 0) + _number(20, 2)
    graph = [
        _part(1, _node("ReduceMean", ["image"], "mean") + _part(5, axes) + _part(5, flat)),
        _part(1, _node("MatMul", ["mean", "matrix"], "sums")),
        _part(1, _node("Add", ["sums", "shift"], "moved")),
        _part(1, _node("Sigmoid", ["moved"], "tags")),
        _text(2, "tagger"), _part(5, _tensor("matrix", matrix)), _part(5, _tensor("shift", shift)),
        _part(11, _value("image", [None, side, side, 3])), _part(12, _value("tags", [None, matrix.shape[1]])),
    ]  # fmt: skip
    return _number(1, 8) + _part(7, b"".join(graph)) + _part(8, _text(1, "") + _number(2, 13))


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())


def _node(kind: str, inputs: list[str], output: str) -> bytes:
    return b"".join(_text(1, name) for name in inputs) + _text(2, output) + _text(4, kind)


def _tensor(name: str, values: np.ndarray) -> bytes:
    dims = b"".join(_number(1, size) for size in values.shape)
    return dims + _number(2, FLOAT) + _text(8, name) + _part(9, values.astype("<f4").tobytes())


def _value(name: str, shape: list[int | None]) -> bytes:
    dims = b"".join(_part(1, _text(2, "batch") if size is None else _number(1, size)) for size in shape)
    return _text(1, name) + _part(2, _part(1, _number(1, FLOAT) + _part(2, dims)))
