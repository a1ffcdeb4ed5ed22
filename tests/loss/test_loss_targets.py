"""Targets: files of every sort, good and bad; fitting; masks."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from prompt_pins.errors import OptionError, TargetError
from prompt_pins.loss import Target, batch_targets, fit_targets, load_target, load_targets
from prompt_pins.loss.images import MAX_SIDE, read_mask, read_rgb

from tests.loss.drawn import noise, photo


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png(width: int, height: int, rows: bytes = b"", depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file with whatever header and pixel bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


PICTURE = photo(20, 30, 1)
GOOD = {
    "png": encoded(Image.fromarray(PICTURE)),
    "bmp": encoded(Image.fromarray(PICTURE), "BMP"),
    "tiff": encoded(Image.fromarray(PICTURE), "TIFF"),
    "webp": encoded(Image.fromarray(PICTURE), "WEBP", lossless=True),
    "apng": encoded(
        Image.fromarray(PICTURE), save_all=True, append_images=[Image.fromarray(noise(20, 30, n)) for n in (1, 2)]
    ),
    "opaque alpha": encoded(Image.fromarray(PICTURE).convert("RGBA")),
}


@pytest.mark.parametrize("kind", GOOD)
def test_lossless_files_are_read_as_they_are(kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"picture.{kind}"
    path.write_bytes(GOOD[kind])
    for source in (path, str(path), GOOD[kind], Image.open(path), PICTURE):
        assert np.array_equal(load_target(source).pixels, PICTURE)


def test_other_modes_are_near() -> None:
    """JPEG, CMYK, animated GIF, palettes and grey, each as near as the format allows."""
    image = Image.fromarray(PICTURE)
    frames = [image.convert("P", palette=Image.Palette.ADAPTIVE), Image.fromarray(noise(20, 30, 3)).convert("P")]
    near = {
        "jpeg": (encoded(image, "JPEG", quality=98, subsampling=0), 6),
        "cmyk": (encoded(image.convert("CMYK"), "JPEG", quality=98), 12),
        "cmyk tiff": (encoded(image.convert("CMYK"), "TIFF"), 1),
        "gif": (encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]), 12),
        "palette": (encoded(frames[0]), 12),
    }
    for kind, (data, limit) in near.items():
        gap = np.abs(load_target(data).pixels.astype(int) - PICTURE)
        assert gap.mean() <= limit, kind
    assert np.array_equal(load_target(encoded(image.convert("L"))).pixels[..., 0], np.asarray(image.convert("L")))


def test_one_bit_images() -> None:
    picture = Image.new("1", (8, 8), 0)
    picture.putpixel((3, 2), 1)
    pixels = load_target(encoded(picture)).pixels
    assert pixels.sum() == 3 * 255 and pixels[2, 3].tolist() == [255, 255, 255]


def test_sixteen_bits_are_scaled_to_eight() -> None:
    values = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    grey = load_target(encoded(Image.fromarray(values)))
    assert np.array_equal(grey.pixels[..., 0], np.arange(256).reshape(16, 16))
    rows = b"".join(b"\0" + values[y].repeat(3).astype(">u2").tobytes() for y in range(16))
    colour = load_target(png(16, 16, rows, depth=16))
    assert np.array_equal(colour.pixels[..., 1], np.arange(256).reshape(16, 16))


def test_floating_point_pixels_are_refused() -> None:
    with pytest.raises(TargetError, match="floating-point"):
        load_target(encoded(Image.new("F", (4, 4), 0.5), "TIFF"))
    with pytest.raises(TargetError, match="32-bit"):
        load_target(encoded(Image.new("I", (4, 4), 70000), "TIFF"))


def test_transparency_lies_on_white() -> None:
    picture = np.dstack([PICTURE, np.full((20, 30), 255, np.uint8)])
    picture[:10, :, 3] = 0
    pixels = load_target(encoded(Image.fromarray(picture))).pixels
    assert (pixels[:10] == 255).all() and np.array_equal(pixels[10:], PICTURE[10:])
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 200, 0, 0] + [0] * 762)
    palette.putpixel((0, 0), 0)
    pixels = load_target(encoded(palette, transparency=0)).pixels
    assert pixels[0, 0].tolist() == [255] * 3 and pixels[1, 1].tolist() == [200, 0, 0]
    picture[..., 3] = 0
    with pytest.raises(TargetError, match="transparent"):
        load_target(encoded(Image.fromarray(picture)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    """Whatever the tag says, the picture comes out upright."""
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
    upright = Image.fromarray(PICTURE)
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turns[orientation]))
    assert orientation == 1 or np.array_equal(stored.transpose(Image.Transpose(back[orientation])), PICTURE)
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = PICTURE
    found = load_target(encoded(stored, exif=exif)).pixels
    assert np.array_equal(found, expected)


BAD = {
    "empty": b"",
    "text": b"not an image at all",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n",
    "cut png": GOOD["png"][: len(GOOD["png"]) // 2],
    "cut jpeg": encoded(Image.fromarray(photo(200, 200, 1)), "JPEG")[:1500],
    "cut gif": encoded(Image.fromarray(photo(200, 200, 1)).convert("P"), "GIF")[:3000],
    "cut webp": GOOD["webp"][:60],
    "header only": GOOD["png"][:33],
    "no pixels": png(0, 0),
    "bad checksum": GOOD["png"][:20] + bytes([GOOD["png"][20] ^ 255]) + GOOD["png"][21:],
    "30000 pixels a side": png(30000, 30000),
    "wide": png(30000, 1, b"\0" + bytes(90000)),
    "tall": png(1, 30000, b"\0\0\0\0" * 30000),
    "bomb": png(16000, 16000, b"\0" * 1000),
    "huge header": png(2**31 - 1, 2**31 - 1),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_one_clear_error(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "target image.png"
    path.write_bytes(BAD[kind])
    with pytest.raises(TargetError) as caught:
        load_target(path)
    assert str(path) in str(caught.value) and "allowed" in str(caught.value)
    with pytest.raises(TargetError):
        load_target(BAD[kind])
    with pytest.raises(TargetError):
        load_target(PICTURE, mask=path)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@settings(max_examples=150)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_damaged_files_never_escape(kind: str, data: st.DataObject) -> None:
    """Flip bytes, cut the end: an image or a TargetError, nothing else."""
    damaged = bytearray(GOOD[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    damaged = damaged[: data.draw(st.integers(0, len(damaged)))]
    try:
        pixels = read_rgb(bytes(damaged))
    except TargetError:
        return
    assert pixels.ndim == 3 and pixels.dtype == np.uint8


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"nowhere\.png"):
        load_target(tmp_path / "nowhere.png")
    with pytest.raises(TargetError, match="folder"):
        load_target(tmp_path, name="folder")
    with pytest.raises(TargetError, match="holds no image"):
        load_targets(tmp_path)
    with pytest.raises(TargetError, match="none given"):
        load_targets([])


def test_a_folder_is_its_images_by_name(tmp_path: Path) -> None:
    for name, seed in (("b.png", 2), ("a.PNG", 1), (".hidden.png", 3)):
        (tmp_path / name).write_bytes(encoded(Image.fromarray(noise(4, 5, seed))))
    (tmp_path / "notes.txt").write_text("not an image")
    targets = load_targets([tmp_path, noise(4, 5, 9)], weights=[2.0, 0.5])
    assert [Path(target.name).name for target in targets] == ["a.PNG", "b.png", "target"]
    assert [target.weight for target in targets] == [2.0, 2.0, 0.5]
    assert np.array_equal(targets[1].pixels, noise(4, 5, 2))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf"), "heavy"])
def test_weights_are_checked(weight: object) -> None:
    with pytest.raises(OptionError, match="weight"):
        load_target(PICTURE, weight=weight)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="weights"):
        load_targets([PICTURE], weights=[1.0, 2.0])


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8), np.zeros((2, 2, 4), np.uint8)],
)
def test_other_arrays_are_refused(array: np.ndarray) -> None:
    with pytest.raises(TargetError, match="allowed"):
        load_target(array)
    with pytest.raises(TargetError, match=f"{MAX_SIDE + 1} x 1"):
        load_target(np.zeros((1, MAX_SIDE + 1, 3), np.uint8))


@settings(max_examples=60)
@given(*[st.integers(1, 60)] * 4, st.sampled_from(["crop", "pad", "stretch"]))
def test_fitting_gives_the_size_asked_for(width: int, height: int, w: int, h: int, fit: str) -> None:
    (found,) = fit_targets([load_target(photo(height, width, 1))], (w, h), fit)
    assert found.size == (w, h) and found.pixels.dtype == np.uint8
    assert found.mask is None or (fit == "pad" and found.mask.shape == (h, w) and found.mask.max() == 255)
    if (width, height) == (w, h):
        assert np.array_equal(found.pixels, photo(height, width, 1)) and found.mask is None


def test_crop_keeps_the_middle() -> None:
    picture = np.zeros((40, 100, 3), np.uint8)
    picture[:, 30:70] = 200
    (found,) = fit_targets([load_target(picture)], (40, 40), "crop")
    assert (found.pixels == 200).all() and found.mask is None


def test_pad_masks_its_bars() -> None:
    (found,) = fit_targets([load_target(np.full((40, 100, 3), 90, np.uint8))], (50, 50), "pad")
    assert found.mask is not None and (found.mask[15:35] == 255).all()
    assert not found.mask[:15].any() and not found.mask[35:].any() and (found.pixels[15:35] == 90).all()


def test_stretch_uses_everything() -> None:
    picture = np.zeros((10, 20, 3), np.uint8)
    picture[:, 10:] = 255
    (found,) = fit_targets([load_target(picture)], (10, 10), "stretch")
    assert (found.pixels[:, :3] <= 2).all() and (found.pixels[:, 7:] >= 253).all()


def test_unknown_fit() -> None:
    with pytest.raises(OptionError, match="crop, pad, stretch"):
        fit_targets([load_target(PICTURE)], (8, 8), "squeeze")


def test_masks_travel_with_their_targets() -> None:
    mask = np.zeros((20, 30), np.uint8)
    mask[:, 15:] = 255
    (found,) = fit_targets([load_target(PICTURE, mask=mask)], (20, 20), "crop")
    assert found.mask is not None and not found.mask[:, :9].any() and (found.mask[:, 11:] == 255).all()
    (other,) = fit_targets([load_target(PICTURE, mask=np.kron(mask, np.ones((3, 2), np.uint8)))], (20, 20), "crop")
    assert np.abs(other.mask.astype(int) - found.mask).mean() < 8


def test_a_mask_for_all_lies_over_those_of_the_targets() -> None:
    top, left = np.zeros((20, 30), np.uint8), np.zeros((20, 30), np.uint8)
    top[:10], left[:, :15] = 255, 255
    both, plain = fit_targets([load_target(PICTURE, mask=top), load_target(PICTURE)], (30, 20), "stretch", mask=left)
    assert np.array_equal(both.mask, np.minimum(top, left)) and np.array_equal(plain.mask, left)
    with pytest.raises(TargetError, match="all black"):
        fit_targets([load_target(PICTURE, mask=top)], (30, 20), "stretch", mask=255 - top)


def test_a_mask_for_all_of_a_targets_size_is_cropped_with_it() -> None:
    left, wide = np.zeros((20, 30), np.uint8), np.full((20, 30), 255, np.uint8)
    left[:, :15], wide[:, :3] = 255, 0
    own, framed = fit_targets([load_target(PICTURE, mask=wide), load_target(photo(20, 20, 1))], (20, 20), mask=left)
    (expected,) = fit_targets([load_target(PICTURE, mask=left)], (20, 20))
    assert np.array_equal(own.mask, expected.mask)
    assert (framed.mask[:, :9] == 255).all() and not framed.mask[:, 11:].any()
    (both,) = fit_targets([load_target(PICTURE, mask=np.kron(wide, np.ones((2, 2), np.uint8)))], (30, 10), mask=left)
    assert not both.mask[:, :2].any() and (both.mask[:, 4:14] == 255).all() and not both.mask[:, 16:].any()


def test_white_masks_are_no_masks_and_black_ones_are_errors() -> None:
    white, black = np.full((20, 30), 255, np.uint8), np.zeros((20, 30), np.uint8)
    (found,) = fit_targets([load_target(PICTURE, mask=white)], (16, 16), "crop", mask=encoded(Image.fromarray(white)))
    assert found.mask is None
    with pytest.raises(TargetError, match="all black"):
        load_target(PICTURE, mask=black)
    with pytest.raises(TargetError, match="all black"):
        fit_targets([load_target(PICTURE)], (30, 20), mask=black)
    edge = black.copy()
    edge[:, :4] = 255
    with pytest.raises(TargetError, match="all black"):
        fit_targets([load_target(PICTURE, mask=edge)], (10, 20), "crop")


def test_masks_are_read_in_grey_and_black_where_transparent() -> None:
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[:2] = 255
    picture[0, 0, 3] = 0
    picture[1] = (128, 128, 128, 255)
    mask = read_mask(Image.fromarray(picture))
    assert mask.tolist() == [[0, 255, 255, 255], [128] * 4, [0] * 4, [0] * 4]
    assert read_mask(np.full((2, 2, 3), 77, np.uint8)).tolist() == [[77, 77], [77, 77]]


def test_a_batch_as_targets() -> None:
    batch = np.stack([noise(8, 9, n) for n in range(3)])
    targets = batch_targets(batch)
    assert [target.name for target in targets] == ["image 0", "image 1", "image 2"]
    assert all(np.array_equal(target.pixels, image) for target, image in zip(targets, batch))
    assert isinstance(targets[0], Target) and targets[0].size == (9, 8)
