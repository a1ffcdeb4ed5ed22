"""How well a prompt explains an image: what the denoiser takes off it, with nothing sampled."""

from __future__ import annotations

import torch
from torch import Tensor


def misfit(unguided: Tensor, guided: Tensor, clean: Tensor, mask: Tensor | None) -> Tensor:
    """1 - cos of the angle between where a prompt leads and where the image lies: (B,), 0 (best) to 2.

    unguided, guided: the denoised images without and with the prompt, B x 4 x h x w; clean: the image, 4 x h x w;
    mask: h x w, what counts, or None.  1 where the prompt does nothing; how strongly it guides does not matter.
    """
    weight = 1.0 if mask is None else mask
    way, wanted = ((end - unguided) * weight**0.5 for end in (guided, clean))
    return 1.0 - torch.nn.functional.cosine_similarity(way.flatten(1), wanted.flatten(1), dim=1)
