"""The UNet as a plain function of tensors, with less overhead on a CPU.

A small UNet spends a third of a call of two rows in Python.  A shape of input that is asked for often enough is
therefore traced once; a trace that does not give the network's own bits is not used.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .condition import Condition
from .shapes import SIZES

log = logging.getLogger(__name__)

Inputs = tuple[Tensor, Tensor, Tensor, Tensor]
Predict = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
TRACED_AFTER = 64
_SETTLED = 3


class Predictor:
    """network: diffusers' UNet, in the precision that it computes in.  traced: whether tracing may be tried."""

    def __init__(self, network: Any, traced: bool) -> None:
        self._plain = _Plain(network)
        self._dtype = next(network.parameters()).dtype
        self._traces = traced
        self._asked: Counter[tuple[torch.Size, torch.Size]] = Counter()
        self._traced: dict[tuple[torch.Size, torch.Size], Predict] = {}

    def __call__(self, x: Tensor, timestep: Tensor, condition: Condition) -> Tensor:
        """x: B x 4 x h x w; timestep: 0-dim; condition: B rows.  Float32, B x 4 x h x w."""
        inputs = (x.to(self._dtype), timestep.to(x.device), condition.vectors, condition.extra)
        if not self._traces:
            return self._answer(self._plain, inputs)
        shape = (x.shape[1:], condition.vectors.shape[1:])
        self._asked[shape] += 1
        if self._asked[shape] == TRACED_AFTER:
            self._traced[shape] = self._faster(inputs)
        return self._answer(self._traced.get(shape, self._plain), inputs)

    @staticmethod
    def _answer(predict: Predict, inputs: Inputs) -> Tensor:
        return predict(*inputs).float()

    def _faster(self, inputs: Inputs) -> Predict:
        """A trace of the network that holds for any number of rows, or the network itself."""
        x, timestep, vectors, extra = inputs
        other = (torch.cat([x, x[:1]]), timestep / 2, torch.cat([vectors, vectors[:1]]), torch.cat([extra, extra[:1]]))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trace: Predict = torch.jit.trace(self._plain, inputs, check_trace=False)  # type: ignore[no-untyped-call]
            for case in (inputs, other):
                answers = [trace(*case) for _ in range(_SETTLED)]
                if not torch.equal(answers[-1], self._plain(*case)):
                    return self._plain
        except (RuntimeError, AttributeError, TypeError) as error:
            log.info("the UNet cannot be traced: %s", error)
            return self._plain
        return trace


class _Plain(nn.Module):
    """The network with tensors alone for arguments and answer."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, timestep: Tensor, vectors: Tensor, extra: Tensor) -> Tensor:
        told: dict[str, Any] = {}
        if extra.shape[1]:
            told = {"added_cond_kwargs": {"text_embeds": extra[:, :-SIZES].to(x), "time_ids": extra[:, -SIZES:]}}
        answer: Tensor = self.network(x, timestep, encoder_hidden_states=vectors, return_dict=False, **told)[0]
        return answer
