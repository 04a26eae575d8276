"""Textures, materials and photography of the synthetic world."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
import pytest

from metric_depth_ros.errors import InputError
from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.photography import (
    NEUTRAL,
    Photography,
    draw_photography,
    encode_jpeg,
    photograph,
)
from metric_depth_synthetic.scene import Role
from metric_depth_synthetic.textures import PATTERNS, PHOTO, TextureBank, lookup, make_bank

ROLES = get_args(Role)


@pytest.fixture(scope="module")
def bank() -> TextureBank:
    return make_bank(0, count=2 * len(PATTERNS))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# --- the bank


def test_a_bank_is_its_seed() -> None:
    one, again, other = (make_bank(seed, count=len(PATTERNS)) for seed in (0, 0, 1))
    assert np.array_equal(one.images, again.images)
    assert np.array_equal(one.repeat_m, again.repeat_m)
    assert one.kinds == other.kinds
    same = [a.tobytes() == b.tobytes() for a, b in zip(one.images, other.images, strict=True)]
    assert not any(same)


def test_textures_of_one_pattern_differ(bank: TextureBank) -> None:
    for kind in PATTERNS:
        same = [i for i, k in enumerate(bank.kinds) if k == kind]
        assert same, kind
        assert len({bank.images[i].tobytes() for i in same}) == len(same), kind


def test_every_role_has_several_patterns(bank: TextureBank) -> None:
    assert set(bank.roles) == set(ROLES)
    assert bank.roles["any"].tolist() == list(range(len(bank)))
    for role in ROLES:
        kinds = {bank.kinds[i] for i in bank.roles[role]}
        assert len(kinds) >= (1 if role == "glass" else 2), (role, kinds)


def test_patterns_name_known_roles_only() -> None:
    for name, pattern in PATTERNS.items():
        assert pattern.roles <= set(ROLES), name
        assert pattern.roles, name
        assert 0 < pattern.repeat_m[0] <= pattern.repeat_m[1]


def test_grey_textures_are_grey_and_coloured_ones_are_not(bank: TextureBank) -> None:
    spread = np.ptp(bank.levels[2], axis=-1).reshape(len(bank), -1).max(1)
    assert (spread[bank.grey] == 0).all()
    assert (spread[~bank.grey] > 5).mean() > 0.9


@pytest.mark.parametrize("axis", [0, 1])
def test_textures_have_no_seam(bank: TextureBank, axis: int) -> None:
    """From the last row to the first is no far greater a step than somewhere between two rows."""
    for i, image in enumerate(bank.images.astype(np.float32)):
        steps = np.abs(np.diff(image, axis=axis, append=image.take([0], axis=axis)))
        steps = steps.mean(axis=(1 - axis, 2))
        assert steps[-1] <= 1.7 * steps[:-1].max() + 3, (bank.kinds[i], steps[-1], steps[:-1].max())


def test_a_seam_would_be_seen(bank: TextureBank) -> None:
    """The measure above tells crops from whole copies, where there is anything to see."""
    part = cv2.resize(bank.images[bank.kinds.index("cloud")][:200, :200], (256, 256))
    cut = TextureBank(part[None], np.ones(1, bool), np.ones(1), ("cut",), {})
    with pytest.raises(AssertionError, match="cut"):
        test_textures_have_no_seam(cut, 0)


def test_each_level_is_the_mean_of_the_one_before(bank: TextureBank) -> None:
    sides = [level.shape[1] for level in bank.levels]
    assert sides[0] == bank.images.shape[1]
    assert sides[-1] == 4
    for fine, coarse in zip(bank.levels[:-1], bank.levels[1:], strict=True):
        n, side = coarse.shape[:2]
        mean = fine.reshape(n, side, 2, side, 2, 3).mean(axis=(2, 4))
        assert np.abs(mean - coarse).max() <= 0.5


def test_too_small_a_count_is_refused() -> None:
    with pytest.raises(InputError, match="count 3"):
        make_bank(0, count=3)


# --- photos


def photo_folder(folder: Path) -> Path:
    (folder / "deeper").mkdir()
    noisy = rng().integers(0, 256, (90, 120, 3)).astype(np.uint8)
    cv2.imwrite(str(folder / "a.png"), cv2.GaussianBlur(noisy, (0, 0), 6))
    cv2.imwrite(str(folder / "deeper" / "b.JPG"), cv2.GaussianBlur(noisy[::-1], (0, 0), 3))
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_photos_join_every_role(tmp_path: Path) -> None:
    plain = make_bank(0, count=len(PATTERNS))
    with_photos = make_bank(0, count=len(PATTERNS), photos=photo_folder(tmp_path))
    new = [len(plain), len(plain) + 1]
    assert len(with_photos) == len(plain) + 2
    assert np.array_equal(with_photos.images[: len(plain)], plain.images)
    assert [with_photos.kinds[i] for i in new] == [PHOTO, PHOTO]
    assert not with_photos.grey[new].any()
    for role in ROLES:
        assert set(new) <= set(with_photos.roles[role].tolist())
    test_textures_have_no_seam(replace_images(with_photos, new), 0)
    test_textures_have_no_seam(replace_images(with_photos, new), 1)


def replace_images(bank: TextureBank, which: list[int]) -> TextureBank:
    kinds = tuple(bank.kinds[i] for i in which)
    return TextureBank(bank.images[which], bank.grey[which], bank.repeat_m[which], kinds, {})


def test_photos_keep_their_brightness(tmp_path: Path) -> None:
    grey = np.full((64, 64, 3), 188, np.uint8)  # half of the light, on the sRGB curve
    cv2.imwrite(str(tmp_path / "grey.png"), grey)
    last = make_bank(0, count=len(PATTERNS), photos=tmp_path).images[-1]
    assert np.abs(last.astype(int) - 130).max() <= 4


def test_a_folder_without_usable_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no usable .* among 0"):
        make_bank(0, count=len(PATTERNS), photos=tmp_path)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    cv2.imwrite(str(tmp_path / "tiny.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError, match=r"no usable .* among 2"):
        make_bank(0, count=len(PATTERNS), photos=tmp_path)


# --- look-up


def slow_lookup(bank: TextureBank, texture: int, u: float, v: float, footprint: float) -> FloatArray:
    size = bank.images.shape[1]
    level = int(np.clip(round(np.log2(max(footprint * size, 1))), 0, len(bank.levels) - 1))
    image = bank.levels[level][texture].astype(float) / 255
    side = len(image)
    x, y = (u % 1) * side - 0.5, (-v % 1) * side - 0.5
    i, j = int(np.floor(x)), int(np.floor(y))
    a, b = x - i, y - j
    rows = [image[(j + k) % side] for k in (0, 1)]
    mixed = [(1 - a) * row[i % side] + a * row[(i + 1) % side] for row in rows]
    return np.asarray((1 - b) * mixed[0] + b * mixed[1])


def test_lookup_agrees_with_a_plain_loop(bank: TextureBank) -> None:
    r, n = rng(), 1500
    texture, uv = r.integers(0, len(bank), n), r.uniform(-3, 3, (n, 2)).astype(np.float32)
    footprint = np.exp(r.uniform(np.log(1e-4), np.log(2), n)).astype(np.float32)
    got = lookup(bank, texture, uv, footprint)
    wanted = [slow_lookup(bank, t, u, v, f) for t, (u, v), f in zip(texture, uv, footprint, strict=True)]
    assert got.dtype == np.float32
    # A texel is divided in 256 steps in each direction.
    assert np.abs(got - np.array(wanted)).max() < 3 / 256


def test_whole_copies_do_not_matter(bank: TextureBank) -> None:
    r, n = rng(), 500
    texture, footprint = r.integers(0, len(bank), n), r.uniform(0, 0.1, n)
    uv = r.integers(0, 256, (n, 2)) / 256
    there = lookup(bank, texture, uv + r.integers(-20, 20, (n, 2)), footprint)
    assert np.array_equal(lookup(bank, texture, uv, footprint), there)


def test_the_first_row_is_on_top(bank: TextureBank) -> None:
    size = bank.images.shape[1]
    u = (np.arange(size) + 0.5) / size
    for row, v in ((0, 1 - 0.5 / size), (-1, 0.5 / size)):
        uv = np.stack([u, np.full(size, v)], 1)
        got = lookup(bank, np.full(size, 7), uv, np.zeros(size))
        assert np.allclose(got, bank.images[7, row] / 255, atol=1e-6)


@pytest.mark.parametrize(
    ("texels", "level"),
    [(0, 0), (1.3, 0), (1.5, 1), (2.7, 1), (3, 2), (8, 3), (60, 6), (1e9, 6), (np.inf, 6)],
)
def test_the_level_is_that_of_the_footprint(bank: TextureBank, texels: float, level: int) -> None:
    side = bank.levels[level].shape[1]
    uv = np.stack([(np.arange(side) + 0.5) / side, np.full(side, 1 - 0.5 / side)], 1)
    size = bank.images.shape[1]
    got = lookup(bank, np.full(side, 5), uv, np.full(side, texels / size))
    assert np.allclose(got, bank.levels[level][5, 0] / 255, atol=1e-6)


def test_a_footprint_that_is_unknown_reads_the_finest_level(bank: TextureBank) -> None:
    uv = np.array([[0.3, 0.7]])
    got = lookup(bank, np.array([5]), uv, np.array([np.nan]))
    assert np.array_equal(got, lookup(bank, np.array([5]), uv, np.zeros(1)))


# --- materials


def test_a_palette_is_its_seed(bank: TextureBank) -> None:
    def drawn(seed: int) -> list[object]:
        palette = Palette(rng(seed), bank)
        return [palette.draw(role) for role in ROLES]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@pytest.mark.parametrize("role", ROLES)
def test_materials_are_plausible(bank: TextureBank, role: Role) -> None:
    for seed in range(40):
        palette = Palette(rng(seed), bank)
        m = palette.draw(role)
        assert 0 <= m.texture < len(bank)
        assert palette.wild or m.texture in bank.roles[role]
        assert 0 <= min(m.colour + m.colour_2) <= max(m.colour + m.colour_2) <= 0.95
        assert 0.01 < m.repeat_m < 100
        assert 0 <= m.mirror <= 0.6
        assert 0 <= m.specular <= 1
        assert m.gloss > 1
        assert m.emission == 0
        turn = PATTERNS[bank.kinds[m.texture]].turn_deg
        assert m.angle_deg % turn == 0 if turn else m.angle_deg == 0


def test_what_was_asked_for_holds(bank: TextureBank) -> None:
    for seed in range(30):
        palette = Palette(rng(seed), bank)
        m = palette.draw("plastic", colour=(0.5, 0.02, 0.02), repeat_m=0.7)
        assert (m.colour, m.repeat_m) == ((0.5, 0.02, 0.02), 0.7)
        # A pattern with colours of its own would hide the red.
        assert palette.wild or bank.grey[m.texture]


def albedo(bank: TextureBank, role: Role, seeds: range) -> FloatArray:
    """(N, 3) mean colours of a role's materials in ordinary scenes."""
    means = []
    for seed in seeds:
        palette = Palette(rng(seed), bank)
        m = palette.draw(role)
        texel = bank.levels[-1][m.texture].mean(axis=(0, 1)) / 255
        first, second = np.array(m.colour), np.array(m.colour_2)
        if not palette.wild:
            means.append(second + texel * (first - second) if bank.grey[m.texture] else texel * first)
    return np.array(means)


def test_colours_are_those_of_the_role(bank: TextureBank) -> None:
    seeds = range(150)
    brightness = {
        role: np.median(albedo(bank, role, seeds).mean(1)) for role in ("ceiling", "wall", "asphalt")
    }
    assert brightness["ceiling"] > brightness["wall"] > 0.3 > brightness["asphalt"]
    for role in ("foliage", "grass"):
        leaf = albedo(bank, role, seeds)
        assert np.mean((leaf[:, 1] > leaf[:, 0]) & (leaf[:, 1] > leaf[:, 2])) > 0.5
    wood = albedo(bank, "wood", seeds)
    assert np.mean((wood[:, 0] >= wood[:, 1]) & (wood[:, 1] >= wood[:, 2])) > 0.7


def test_a_scene_uses_its_colours_again(bank: TextureBank) -> None:
    """Wood of one room is more alike than wood of several."""
    within = [
        np.ptp([np.mean(palette.draw("wood").colour) for _ in range(4)])
        for palette in (Palette(rng(s), bank) for s in range(60))
        if not palette.wild
    ]
    across = [np.mean(Palette(rng(s), bank).draw("wood").colour) for s in range(240)]
    assert np.mean(within) < 0.8 * np.mean([np.ptp(across[i : i + 4]) for i in range(0, 240, 4)])


def test_some_scenes_are_wild(bank: TextureBank) -> None:
    wild = [s for s in range(400) if Palette(rng(s), bank).wild]
    assert 0.10 < len(wild) / 400 < 0.20
    palette = Palette(rng(wild[0]), bank)
    drawn = [palette.draw("ceiling").texture for _ in range(60)]
    assert len(set(drawn) - set(bank.roles["ceiling"].tolist())) > 15


# --- photography


def scene(height: int = 60, width: int = 80, seed: int = 0) -> FloatArray:
    """Smooth light with a bright square, about 0.05 to 1."""
    light = cv2.GaussianBlur(rng(seed).random((height, width, 3), np.float32), (0, 0), 4) ** 2
    light[height // 4 : height // 2, width // 4 : width // 2] += 0.7
    return np.asarray(light)


@pytest.mark.parametrize("shape", [(240, 320), (31, 97), (8, 8)])
@pytest.mark.parametrize("dark", [False, True])
def test_photographs_keep_size_and_type(shape: tuple[int, int], dark: bool) -> None:
    light = scene(*shape)
    before = light.copy()
    for seed in range(25):
        image = photograph(light, draw_photography(rng(seed), dark=dark), rng(seed))
        assert image.shape == (*shape, 3)
        assert image.dtype == np.uint8
        assert np.array_equal(light, before)


def test_a_photograph_is_its_seed() -> None:
    light, camera = scene(), replace(draw_photography(rng(1)), read_noise=0.02)
    assert camera == replace(draw_photography(rng(1)), read_noise=0.02)
    assert draw_photography(rng(1)) != draw_photography(rng(2))
    assert np.array_equal(photograph(light, camera, rng(5)), photograph(light, camera, rng(5)))
    assert not np.array_equal(photograph(light, camera, rng(5)), photograph(light, camera, rng(6)))


def test_neutral_is_the_srgb_curve_alone() -> None:
    light = scene()
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    wanted = np.clip(curve, 0, 1) * 255
    assert np.abs(photograph(light, NEUTRAL, rng()) - wanted).max() < 1.5


def test_more_exposure_is_nowhere_darker() -> None:
    light = scene()
    for seed in range(20):
        camera = replace(draw_photography(rng(seed)), shot_noise=0.0, read_noise=0.0, sharpening=0.0)
        stops = [photograph(light, replace(camera, exposure_ev=ev), rng()) for ev in (-3, -1, 0, 1, 3)]
        for less, more in pairwise(stops):
            assert (more >= less).all()
        assert stops[-1].mean() > stops[0].mean() + 30


def test_metering_makes_up_for_the_light_within_its_limit() -> None:
    light, camera = scene(), Photography(metering=60.0, gain_limit=20.0)
    bright = photograph(light, camera, rng())
    assert np.abs(photograph(100 * light, camera, rng()).astype(int) - bright).max() <= 1
    assert photograph(light / 200, camera, rng()).mean() < bright.mean() / 2


def test_bright_places_clip_when_the_dark_is_metered() -> None:
    light = scene()
    light[:20] = 40.0
    image = photograph(light, Photography(metering=40.0), rng())
    assert (image[:20] == 255).all()
    assert 20 < np.median(image[25:]) < 240


def test_light_that_is_not_finite_is_black() -> None:
    light = scene()
    light[0, 0], light[1, 1, 0] = np.nan, np.inf
    image = photograph(light, NEUTRAL, rng())
    assert image[0, 0].tolist() == [0, 0, 0]
    assert image[1, 1, 0] == 0
    assert np.array_equal(image[2:], photograph(scene(), NEUTRAL, rng())[2:])


def test_noise_has_the_deviation_that_is_asked_for() -> None:
    linear = Photography(read_noise=0.02)
    dim, bright = (np.full((200, 200, 3), level, np.float32) for level in (0.2, 0.8))

    def deviation(light: FloatArray, camera: Photography) -> float:
        grey = photograph(light, camera, rng()) / 255
        return float(np.std(((grey + 0.055) / 1.055) ** 2.4))

    assert deviation(dim, linear) == pytest.approx(0.02, rel=0.1)
    assert deviation(bright, linear) == pytest.approx(0.02, rel=0.1)
    shot = Photography(shot_noise=1e-3)
    assert deviation(dim, shot) == pytest.approx((1e-3 * 0.2) ** 0.5, rel=0.1)
    assert deviation(bright, shot) == pytest.approx((1e-3 * 0.8) ** 0.5, rel=0.1)


def edge(*, vertical: bool = True) -> FloatArray:
    light = np.full((64, 64, 3), 0.1, np.float32)
    light[:, 32:] = 0.6
    return light if vertical else np.ascontiguousarray(light.transpose(1, 0, 2))


def test_blur_and_motion_soften_edges_across_them_only() -> None:
    def step(light: FloatArray, camera: Photography) -> int:
        image = photograph(light, camera, rng()).astype(int)
        return int(max(np.abs(np.diff(image, axis=axis)).max() for axis in (0, 1)))

    sharp = step(edge(), NEUTRAL)
    assert step(edge(), Photography(blur_px=1.0)) < 0.6 * sharp
    along_x = Photography(motion_px=(5.0, 0.0))
    assert step(edge(), along_x) < 0.5 * sharp
    assert step(edge(vertical=False), along_x) == sharp


def test_flat_light_stays_flat_through_blur_glare_and_sharpening() -> None:
    flat = np.full((50, 70, 3), 0.3, np.float32)
    camera = Photography(blur_px=1.2, motion_px=(3.0, -2.0), glare=0.1, sharpening=0.8, aberration=0.004)
    assert np.abs(photograph(flat, camera, rng()).astype(int) - photograph(flat, NEUTRAL, rng())).max() <= 1


def test_sharpening_overshoots_at_edges() -> None:
    plain, sharp = (photograph(edge(), Photography(sharpening=s), rng()) for s in (0.0, 0.8))
    assert sharp.max() > plain.max() + 5
    assert sharp.min() < plain.min() - 5


def test_vignetting_darkens_the_corners() -> None:
    flat = np.full((61, 81, 3), 0.5, np.float32)
    image = photograph(flat, Photography(vignetting=0.5), rng())
    assert image[30, 40, 0] == photograph(flat, NEUTRAL, rng())[30, 40, 0]
    assert image[0, 0, 0] == image[-1, -1, 0] < image[30, 0, 0] < image[30, 40, 0]
    assert image[0, 0, 0] == photograph(flat / 2, NEUTRAL, rng())[0, 0, 0]


def test_aberration_parts_red_and_blue_away_from_the_middle() -> None:
    light = np.zeros((101, 101, 3), np.float32)
    light[50, 90] = light[50, 50] = 1.0
    image = photograph(cv2.GaussianBlur(light, (0, 0), 2) * 20, Photography(aberration=0.04), rng())
    columns = np.arange(70, 101)

    def centre(channel: int) -> float:
        weight = image[50, 70:, channel].astype(float)
        return float((weight * columns).sum() / weight.sum())

    assert centre(0) - centre(2) == pytest.approx(40 * 0.04, rel=0.25)
    assert np.argmax(image[50, 30:70, 0]) == np.argmax(image[50, 30:70, 2]) == 20


def test_colour_settings() -> None:
    light = scene()
    grey = photograph(light, Photography(saturation=0.0), rng())
    assert np.ptp(grey.astype(int), axis=-1).max() <= 1
    warm = photograph(light, Photography(white_balance=(1.3, 1.0, 0.7)), rng()).astype(int)
    plain = photograph(light, NEUTRAL, rng()).astype(int)
    assert (warm[..., 0] >= plain[..., 0]).all()
    assert (warm[..., 2] <= plain[..., 2]).all()
    lifted = photograph(light * 0, Photography(lift=0.08), rng())
    assert np.unique(lifted).tolist() == [20]
    rolled = photograph(2 * light, Photography(shoulder=1.0), rng())
    assert (rolled == 255).sum() < (photograph(2 * light, NEUTRAL, rng()) == 255).sum()


def test_drawn_cameras_give_usable_pictures() -> None:
    """Neither black nor white, for light from candle to noon."""
    for seed in range(60):
        light = scene(seed=seed) * float(np.exp(rng(seed).uniform(-3, 2)))
        image = photograph(light, draw_photography(rng(seed)), rng(seed))
        assert 25 < image.mean() < 235
        assert image.std() > 8


def test_jpeg_round_trip_and_errors() -> None:
    image = photograph(scene(), NEUTRAL, rng())
    good, poor = encode_jpeg(image, 98), encode_jpeg(image, 50)
    assert len(poor) < len(good)
    back = cv2.imdecode(np.frombuffer(good, np.uint8), cv2.IMREAD_COLOR)
    assert back is not None
    assert np.abs(back[..., ::-1].astype(int) - image).mean() < 3
    with pytest.raises(InputError, match="quality 0"):
        encode_jpeg(image, 0)
    with pytest.raises(InputError, match="uint8"):
        encode_jpeg(image.astype(np.float32), 90)
    with pytest.raises(InputError, match=r"\(60, 80\)"):
        encode_jpeg(image[..., 0], 90)
