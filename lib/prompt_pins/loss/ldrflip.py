"""LDR-ꟻLIP in batched torch: features once per image, then pairs.  Imports torch.

Section, equation and symbol names follow Andersson et al., "ꟻLIP: A Difference Evaluator for Alternating
Images", HPG 2020.  The filters are applied as sums of shifted copies: no convolution or matrix routine is
called, so a host that allows TF32 does not change the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from prompt_pins.errors import OptionError
from prompt_pins.loss.csf import Filters, Taps, filters
from prompt_pins.loss.options import DEFAULT_PIXELS_PER_DEGREE, check_pixels_per_degree

PLANES = 5  # L*, Hunt-adjusted a* and b*, edge and point magnitude

# Linear sRGB to CIE XYZ (D65); the white point is its image of (1, 1, 1).
_XYZ = (
    (10135552 / 24577794, 8788810 / 24577794, 4435075 / 24577794),
    (2613072 / 12288897, 8788810 / 12288897, 887015 / 12288897),
    (1425312 / 73733382, 8788810 / 73733382, 70074185 / 73733382),
)
_WHITE = tuple(sum(row) for row in _XYZ)
_TO_WHITE = tuple(tuple(v / w for v in row) for row, w in zip(_XYZ, _WHITE))

_Q_COLOUR, _P_COLOUR, _P_TARGET, _Q_FEATURE = 0.7, 0.4, 0.95, 0.5  # q_c, p_c, p_t, q_f (sections 4.1, 4.2)


def _inverse(m: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    """Inverse of a 3 x 3 matrix by cofactors."""
    c = [
        [
            m[(j + 1) % 3][(i + 1) % 3] * m[(j + 2) % 3][(i + 2) % 3]
            - m[(j + 1) % 3][(i + 2) % 3] * m[(j + 2) % 3][(i + 1) % 3]
            for j in range(3)
        ]
        for i in range(3)
    ]
    determinant = sum(m[0][i] * c[i][0] for i in range(3))
    return tuple(tuple(v / determinant for v in row) for row in c)


_FROM_WHITE = _inverse(_TO_WHITE)


def _cube_root(t: float) -> float:
    return t ** (1 / 3) if t > (6 / 29) ** 3 else t / (3 * (6 / 29) ** 2) + 4 / 29


def _hunt_lab(rgb: Sequence[float]) -> tuple[float, float, float]:
    """Hunt-adjusted L*a*b* of one linear colour."""
    x, y, z = (_cube_root(sum(m * v for m, v in zip(row, rgb))) for row in _TO_WHITE)
    light = 116 * y - 16
    return light, 5 * (x - y) * light, 2 * (y - z) * light


def _largest_colour_difference() -> float:
    """c_max: HyAB distance of green and blue, raised to q_c (section 4.1)."""
    green, blue = _hunt_lab((0, 1, 0)), _hunt_lab((0, 0, 1))
    chroma = ((green[1] - blue[1]) ** 2 + (green[2] - blue[2]) ** 2) ** 0.5
    return float((abs(green[0] - blue[0]) + chroma) ** _Q_COLOUR)


_C_MAX = _largest_colour_difference()
# The two branches of eq. 10 are lines through (p_c·c_max, p_t); the map is concave, so it is their minimum.
_LOW_SLOPE = _P_TARGET / (_P_COLOUR * _C_MAX)
_HIGH_SLOPE = (1 - _P_TARGET) / ((1 - _P_COLOUR) * _C_MAX)
_HIGH_START = _P_TARGET - _HIGH_SLOPE * _P_COLOUR * _C_MAX


def flip(reference: Tensor, test: Tensor, pixels_per_degree: float = DEFAULT_PIXELS_PER_DEGREE) -> Tensor:
    """Error maps of image pairs.

    `reference`, `test`: N x 3 x H x W, sRGB in [0, 1] (values outside are clamped), any floating dtype, on one
    device.  Returns N x 1 x H x W float32 in [0, 1]: 0 where a viewer at that distance sees no difference.
    Not differentiable.  Raises OptionError for other shapes or an unusable `pixels_per_degree`.
    """
    for name, images in (("reference", reference), ("test", test)):
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point() or images.numel() == 0:
            raise OptionError(name, tuple(images.shape), "a floating tensor N x 3 x H x W in [0, 1]")
    if reference.shape != test.shape:
        raise OptionError("test", tuple(test.shape), f"the shape of the reference, {tuple(reference.shape)}")
    kernels = filters(check_pixels_per_degree(pixels_per_degree))
    height, width = reference.shape[2:]
    out = torch.empty((len(test), 1, height, width), dtype=torch.float32, device=test.device)
    with torch.no_grad():
        for top, bottom in _strips(height, width, kernels.radius, _tile(test.device)):
            for n in range(len(test)):
                left = strip_features(reference[n : n + 1], top, bottom, kernels)
                right = strip_features(test[n : n + 1], top, bottom, kernels)
                out[n, 0, top:bottom] = error(left, right)[0]
    return out


def error(left: Tensor, right: Tensor) -> Tensor:
    """Error of feature planes, 5 x ... against 5 x ... (broadcast): eqs. 7 to 12, in [0, 1].

    0^q is reached through log2(0) = -inf and exp2(-inf) = 0, so equal features give an exact 0.
    """
    colour = (left[0] - right[0]).abs_()
    chroma = left[1] - right[1]
    other = left[2] - right[2]
    chroma.mul_(chroma).addcmul_(other, other).sqrt_()
    colour.add_(chroma)  # HyAB, eq. 7
    colour.log2_().mul_(_Q_COLOUR).exp2_()
    torch.mul(colour, _HIGH_SLOPE, out=chroma).add_(_HIGH_START)
    torch.minimum(colour.mul_(_LOW_SLOPE), chroma, out=colour).clamp_(max=1.0)  # eq. 10
    torch.sub(left[3], right[3], out=chroma).abs_()
    torch.sub(left[4], right[4], out=other).abs_()
    torch.maximum(chroma, other, out=chroma).sqrt_().neg_().add_(1.0)  # 1 - ΔE_f, eq. 11; 1/√2 is in the planes
    return colour.log2_().mul_(chroma).exp2_()  # eq. 12


def strip_features(images: Tensor, top: int, bottom: int, kernels: Filters) -> Tensor:
    """Feature planes of the rows [top, bottom) of N x 3 x H x W images (uint8, or floating in [0, 1]).

    Returns 5 x N x (bottom-top) x W float32.  Outside the image its border pixels are repeated.
    """
    reach, height = kernels.radius, images.shape[2]
    first, last = max(0, top - reach), min(height, bottom + reach)
    rgb = _linear(images[:, :, first:last])
    y, cx, cz = _opponent(rgb)
    pad = (reach, reach, reach - (top - first), reach - (last - bottom))
    y, cx, cz = (functional.pad(plane, pad, mode="replicate") for plane in (y, cx, cz))
    low = _both(y, kernels.achromatic, reach)
    x = _both(cx, kernels.red_green, reach).add_(low)
    z = _both(cz, kernels.blue_yellow[0], reach).add_(_both(cz, kernels.blue_yellow[1], reach))
    planes = torch.empty((PLANES, *low.shape), dtype=torch.float32, device=images.device)
    _lab(planes, x, low, low - z)
    _edges(planes, y, kernels, reach)
    return planes


def _linear(images: Tensor) -> Tensor:
    """Linear sRGB from sRGB (IEC 61966-2-1)."""
    values = images.float().div_(255.0) if images.dtype == torch.uint8 else images.float().clamp(0.0, 1.0)
    return torch.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055).pow_(2.4))


def _mix(planes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    out = planes[0] * weights[0]
    for plane, weight in zip(planes[1:], weights[1:]):
        out.add_(plane, alpha=weight)
    return out


def _opponent(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Y, X-Y and Y-Z relative to white, N x 1 x h x W each: YC_xC_z without its constants (eq. 3)."""
    r, g, b = torch.split(rgb, 1, dim=1)
    x, y, z = (_mix((r, g, b), row) for row in _TO_WHITE)
    return y, x.sub_(y), y - z


def _along(plane: Tensor, dim: int, taps: Taps, reach: int) -> Tensor:
    """Correlation along one axis of a plane that is padded by `reach` on both sides."""
    size = plane.shape[dim] - 2 * reach
    start = reach - len(taps) // 2
    out = plane.narrow(dim, start, size) * taps[0]
    for offset, tap in enumerate(taps[1:], start + 1):
        if tap:
            out.add_(plane.narrow(dim, offset, size), alpha=tap)
    return out


def _both(plane: Tensor, taps: Taps, reach: int) -> Tensor:
    """N x h x W: the same taps down and across."""
    return _along(_along(plane, 2, taps, reach), 3, taps, reach)[:, 0]


def _lab(planes: Tensor, x: Tensor, y: Tensor, z: Tensor) -> None:
    """Clamp filtered XYZ to the gamut, then L*a*b* with the Hunt adjustment (eqs. 6 and 8), into planes 0-2."""
    rgb = [_mix((x, y, z), row).clamp_(0.0, 1.0) for row in _FROM_WHITE]
    fx, fy, fz = (_lab_root(_mix(rgb, row)) for row in _TO_WHITE)
    light = torch.mul(fy, 116.0, out=planes[0]).sub_(16.0)
    torch.sub(fx, fy, out=planes[1]).mul_(5.0).mul_(light)
    torch.sub(fy, fz, out=planes[2]).mul_(2.0).mul_(light)


def _lab_root(t: Tensor) -> Tensor:
    line = t.mul(1 / (3 * (6 / 29) ** 2)).add_(4 / 29)
    return torch.where(t > (6 / 29) ** 3, t.log2().mul_(1 / 3).exp2_(), line)


def _edges(planes: Tensor, y: Tensor, kernels: Filters, reach: int) -> None:
    """Gradient and curvature magnitudes of luminance, over √2 (section 4.2), into planes 3 and 4."""
    down = _along(y, 2, kernels.gauss, reach)
    across = _along(y, 3, kernels.gauss, reach)
    for target, taps in ((planes[3], kernels.edge), (planes[4], kernels.point)):
        dx = _along(down, 3, taps, reach)[:, 0]
        dy = _along(across, 2, taps, reach)[:, 0]
        torch.mul(dx, dx, out=target).addcmul_(dy, dy).mul_(0.5).sqrt_()


def _tile(device: torch.device) -> int:
    """Elements that one elementwise operation should touch: a share of the second-level cache on a CPU."""
    return 1 << 16 if device.type == "cpu" else 1 << 22


def _strips(height: int, width: int, reach: int, elements: int) -> Iterator[tuple[int, int]]:
    """Row ranges of about `elements` pixels, tall enough for the margins not to cost much."""
    rows = max(4 * reach, elements // width)
    count = max(1, round(height / rows))
    rows = -(-height // count)
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def mean_errors(
    images: Tensor,
    pairs: Sequence[tuple[int, int]],
    pixels_per_degree: float = DEFAULT_PIXELS_PER_DEGREE,
    weight: Tensor | None = None,
    memory: int = 512 << 20,
) -> Tensor:
    """Mean error of image pairs.

    `images`: N x 3 x H x W, uint8 or floating in [0, 1]; `pairs`: P index pairs; `weight`: H x W, not
    negative, not all zero, the weight of each pixel in the mean (None: all alike); `memory`: bytes that the
    features may take; what exceeds them is worked off in strips of rows.  Returns P float64 on the CPU.
    """
    kernels = filters(check_pixels_per_degree(pixels_per_degree))
    _, _, height, width = images.shape
    tile = _tile(images.device)
    held = memory // (4 * PLANES * len(images))
    total = torch.zeros(len(pairs), dtype=torch.float64, device=images.device)
    with torch.no_grad():
        for top, bottom in _strips(height, width, kernels.radius, min(held, max(tile, 16 * width))):
            group = max(1, tile // ((bottom - top) * width))
            batches = [strip_features(part, top, bottom, kernels) for part in torch.split(images, group)]
            planes = torch.cat(batches, dim=1).flatten(2)
            share = None if weight is None else weight[top:bottom].flatten()
            _add_errors(total, planes, pairs, share, tile)
    area = height * width if weight is None else weight.sum(dtype=torch.float64)
    return (total / area).cpu()


def _runs(pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """(position, left, first right, count) of stretches of pairs (i, j), (i, j+1), ..."""
    start = 0
    for n in range(1, len(pairs) + 1):
        left, right = pairs[start]
        if n == len(pairs) or tuple(pairs[n]) != (left, right + n - start):
            yield start, left, right, n - start
            start = n


def _add_errors(
    total: Tensor, planes: Tensor, pairs: Sequence[tuple[int, int]], share: Tensor | None, tile: int
) -> None:
    """Add each pair's sum of (weighted) errors over the pixels of `planes`, 5 x N x pixels."""
    pixels = planes.shape[2]
    for position, left, right, count in _runs(pairs):
        step = max(1, min(pixels, tile // count))
        for start in range(0, pixels, step):
            part = slice(start, min(pixels, start + step))
            errors = error(planes[:, left : left + 1, part], planes[:, right : right + count, part])
            if share is not None:
                errors.mul_(share[part])
            total[position : position + count] += errors.sum(dim=1, dtype=torch.float64)
