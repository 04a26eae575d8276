"""Small things of every kind, each at (0, 0)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece

Maker = Callable[[Kit], Piece]


def mug(kit: Kit) -> Piece:
    """A mug with a handle, or a glass."""
    d, h = kit.u(0.065, 0.095), kit.u(0.08, 0.12)
    piece = Piece(d + 0.03, d, h)
    item = piece.item("clutter", yaw_deg=kit.u(0, 360))
    material = kit.light() if kit.chance(0.4) else kit.some("plastic")
    item.put("mug", material, (0, 0, 0), (d, d, h))
    item.path(material, [(d / 2, 0, h * 0.8), (d / 2 + 0.025, 0, h * 0.7), (d / 2, 0, h * 0.25)], 0.006)
    return piece


def bottle(kit: Kit) -> Piece:
    """A bottle, tin or carton."""
    d, h = kit.u(0.055, 0.1), kit.u(0.16, 0.34)
    piece = Piece(d, d, h)
    item = piece.item("clutter")
    body = kit.some("plastic") if kit.chance(0.6) else kit.some("print")
    item.put(kit.weighted({"bottle": 3, "drum": 1, "box": 0.7}), body, (0, 0, 0), (d, d, h), kit.u(0, 90))
    if kit.chance(0.5):
        item.put("rod", kit.some("plastic"), (0, 0, h), (d * 0.42, d * 0.42, 0.02))
    return piece


def tin(kit: Kit) -> Piece:
    """A tin, jar or pot with pens."""
    d = kit.u(0.06, 0.12)
    h = d * kit.u(0.9, 1.6)
    piece = Piece(d, d, h)
    item = piece.item("clutter")
    if kit.chance(0.5):
        item.put("drum", kit.some("print"), (0, 0, 0), (d, d, h))
        return piece
    item.put("mug", kit.some("plastic"), (0, 0, 0), (d, d, h))
    for _ in range(kit.n(2, 6)):
        a, lean = kit.u(0, 6.28), kit.u(0.01, 0.35 * d)
        tip = (lean * 1.6 * math.cos(a), lean * 1.6 * math.sin(a), h + kit.u(0.02, 0.07))
        item.rod(kit.some("plastic"), (-0.5 * lean * math.cos(a), 0, 0.01), tip, 0.004, "wire")
    piece.height = h + 0.06
    return piece


def bowl(kit: Kit) -> Piece:
    """A bowl or plate, sometimes with fruit."""
    d = kit.u(0.12, 0.3)
    h = d * kit.choose([0.12, 0.3, 0.45])
    piece = Piece(d, d, h)
    item = piece.item("clutter")
    item.put("bowl", kit.light() if kit.chance(0.5) else kit.some("plastic"), (0, 0, 0), (d, d, h))
    if kit.chance(0.4) and h > 0.05:
        fruit = kit.some("plastic")
        for k in range(kit.n(2, 5)):
            s = kit.u(0.06, 0.085)
            at = (d * 0.2 * math.cos(2.2 * k), d * 0.2 * math.sin(2.2 * k), h * 0.45)
            item.put("ball", fruit, at, (s, s, s))
        piece.height = h + 0.05
    return piece


def vase(kit: Kit) -> Piece:
    """A vase, with or without flowers."""
    d, h = kit.u(0.08, 0.18), kit.u(0.14, 0.32)
    piece = Piece(d, d, h)
    item = piece.item("clutter")
    item.put("vase", kit.some("plastic"), (0, 0, 0), (d, d, h))
    if kit.chance(0.5):
        stem, bloom = kit.some("foliage"), kit.some("fabric")
        for k in range(kit.n(3, 7)):
            a, r, top = 2.4 * k, kit.u(0.02, 0.12), h + kit.u(0.08, 0.25)
            tip = (r * math.cos(a), r * math.sin(a), top)
            item.rod(stem, (0, 0, h * 0.7), tip, 0.003, "wire")
            item.put("pillow", bloom, tip, (0.05, 0.05, 0.04))
        piece.height = h + 0.25
    return piece


def plant(kit: Kit, height: float = 0.0) -> Piece:
    """A plant in a pot: bushy, or long leaves."""
    h = height or kit.u(0.15, 0.45)
    pot = min(h * kit.u(0.35, 0.5), 0.42)
    spread = h * kit.u(0.5, 0.9)
    piece = Piece(max(pot, spread * 0.7), max(pot, spread * 0.7), h)
    item = piece.item("clutter", yaw_deg=kit.u(0, 360))
    item.put("pot" if kit.chance(0.8) else "box", kit.some("plastic"), (0, 0, 0), (pot, pot, pot * 0.9))
    leaf = kit.some("foliage")
    if kit.chance(0.5):
        item.put(f"fronds{kit.n(0, 3)}", leaf, (0, 0, pot * 0.8), (spread, spread, h - pot * 0.8))
    else:
        if h > 0.8:
            item.rod(kit.some("wood"), (0, 0, pot * 0.7), (0.02, 0, h * 0.7), 0.012)
        item.put(f"bush{kit.n(0, 3)}", leaf, (0, 0, max(pot * 0.8, h * 0.25)), (spread, spread, h * 0.75))
    return piece


def book_stack(kit: Kit) -> Piece:
    """A few books or magazines lying on each other."""
    w, d = kit.u(0.14, 0.24), kit.u(0.2, 0.31)
    piece = Piece(w, d, 0)
    item = piece.item("clutter", yaw_deg=kit.u(-30, 30) + 90 * kit.n(0, 3))
    z = 0.0
    for _ in range(kit.n(1, 6)):
        t = kit.u(0.006, 0.045)
        item.put(
            "box", kit.some("print"), (0, 0, z), (w * kit.u(0.85, 1), d * kit.u(0.85, 1), t), kit.u(-12, 12)
        )
        z += t
    piece.height = z
    return piece


def papers(kit: Kit) -> Piece:
    """Sheets of paper lying about, or a pad."""
    piece = Piece(0.25, 0.32, 0.004)
    item = piece.item("clutter", yaw_deg=kit.u(-40, 40))
    material = kit.new("print" if kit.chance(0.6) else "paper", repeat_m=0.3)
    for k in range(kit.n(1, 4)):
        at = (kit.u(-0.05, 0.05), kit.u(-0.05, 0.05), 0.0012 * k)
        item.put("box", material, at, (0.21, 0.297, 0.0015), kit.u(-25, 25))
    return piece


def carton(kit: Kit, size: float = 0.0) -> Piece:
    """A cardboard box, sometimes open."""
    s = size or kit.u(0.08, 0.25)
    w, d, h = s * kit.u(0.8, 1.4), s * kit.u(0.7, 1.1), s * kit.u(0.4, 1.1)
    piece = Piece(w, d, h)
    item = piece.item("clutter", yaw_deg=kit.u(-12, 12))
    material = kit.weighted({"card": 1, "print": 1, "plastic": 1})
    body = (
        kit.new("paper", colour=(kit.u(0.25, 0.45), kit.u(0.16, 0.28), 0.1))
        if material == "card"
        else kit.some("print" if material == "print" else "plastic")
    )
    if s > 0.2 and kit.chance(0.35):
        t = 0.006
        item.box(body, (-w / 2, -d / 2, 0), (w / 2, d / 2, h * 0.3))
        for side in (-1, 1):
            item.box(body, (side * w / 2, -d / 2, 0), (side * (w / 2 - t), d / 2, h))
            item.box(body, (-w / 2, side * d / 2, 0), (w / 2, side * (d / 2 - t), h))
            item.quad(body, (-w / 2, side * d / 2, h), (w, 0, 0), (0, side * d * 0.35, d * kit.u(-0.1, 0.3)))
    else:
        item.box(body, (-w / 2, -d / 2, 0), (w / 2, d / 2, h))
        if kit.chance(0.4):
            item.box(kit.some("paper"), (-w / 2, -0.025, h), (w / 2, 0.025, h + 0.001))
    return piece


def laptop(kit: Kit) -> Piece:
    """An open laptop whose user is at +y."""
    w, d = kit.u(0.29, 0.38), kit.u(0.2, 0.26)
    piece = Piece(w, d + 0.06, 0.24)
    item = piece.item("screen")
    case = kit.steel() if kit.chance(0.5) else kit.dark()
    item.box(case, (-w / 2, -d / 2, 0), (w / 2, d / 2, 0.016))
    item.box(kit.dark(), (-w * 0.44, -d * 0.42, 0.016), (w * 0.44, d * 0.08, 0.0175))
    back, up = d * kit.u(0.05, 0.5), d * 0.93
    item.quad(case, (w / 2, -d / 2, 0.012), (-w, 0, 0), (0, -back, up))
    corner = (-w * 0.47, -d / 2 + 0.005, 0.022)
    item.quad(
        _screen(kit, w), (-corner[0], corner[1], corner[2]), (-w * 0.94, 0, 0), (0, -back * 0.94, up * 0.94)
    )
    # A quad faces one direction only, so the first is the lid's outside and the second its screen.
    return piece


def _screen(kit: Kit, width: float) -> Material:
    material = kit.new("screen", repeat_m=width)
    return dataclasses.replace(material, emission=kit.choose([0.0, 0.3, 0.6, 0.9]), angle_deg=0.0)


def monitor(kit: Kit, width: float = 0.0) -> Piece:
    """A computer's screen that faces +y."""
    w = width or kit.u(0.42, 0.72)
    h = w * kit.choose([0.5625, 0.5625, 0.63, 0.75])
    foot = kit.u(0.08, 0.18)
    piece = Piece(w, 0.2, foot + h)
    item = piece.item("screen", yaw_deg=kit.u(-12, 12))
    case = kit.dark() if kit.chance(0.8) else kit.light()
    thick = kit.u(0.02, 0.05)
    item.box(case, (-w / 2, -thick / 2, foot), (w / 2, thick / 2, foot + h))
    rim = kit.u(0.006, 0.02)
    at = (w / 2 - rim, thick / 2 + 0.001, foot + rim)
    item.quad(_screen(kit, w), at, (-w + 2 * rim, 0, 0), (0, 0, h - 2 * rim))
    item.box(case, (-0.03, -thick / 2 - 0.04, 0.01), (0.03, -thick / 2, foot + h * 0.5))
    if kit.chance(0.5):
        item.box(case, (-0.12, -0.1, 0), (0.12, 0.09, 0.012))
    else:
        item.put("drum", case, (0, -0.01, 0), (0.24, 0.2, 0.014))
    return piece


def keyboard(kit: Kit) -> Piece:
    """A keyboard with a mouse beside it."""
    w = kit.u(0.32, 0.46)
    piece = Piece(w + 0.2, 0.16, 0.035)
    item = piece.item("clutter", yaw_deg=kit.u(-6, 6))
    case = kit.dark() if kit.chance(0.7) else kit.light()
    item.box(case, (-w / 2, -0.07, 0), (w / 2, 0.07, 0.018))
    keys = kit.dark() if kit.chance(0.6) else kit.light()
    for row in range(5):
        y = -0.058 + 0.024 * row
        item.box(keys, (-w * 0.47, y, 0.018), (w * 0.47, y + 0.018, 0.026))
    item.put("pillow", case, (w / 2 + 0.08, kit.u(-0.03, 0.03), 0), (0.06, 0.11, 0.035), kit.u(-15, 15))
    return piece


def desk_lamp(kit: Kit) -> Piece:
    """A jointed lamp or one with a shade."""
    h = kit.u(0.35, 0.55)
    piece = Piece(0.22, 0.22, h)
    item = piece.item("clutter", yaw_deg=kit.u(0, 360))
    metal = kit.some("metal")
    item.put("drum", metal, (0, 0, 0), (0.16, 0.16, 0.02))
    if kit.chance(0.5):
        item.path(metal, [(0, 0, 0.02), (-0.07, 0, h * 0.55), (0.1, 0, h)], 0.009)
        item.rod(metal, (0.16, 0, h - 0.1), (0.1, 0, h), 0.07, "shade")
    else:
        item.rod(metal, (0, 0, 0.02), (0, 0, h - 0.1), 0.012)
        item.put("shade", kit.some("paper"), (0, 0, h - 0.18), (0.24, 0.24, 0.18))
    return piece


def frame(kit: Kit) -> Piece:
    """A picture in a standing frame."""
    w, h = kit.u(0.1, 0.22), kit.u(0.12, 0.25)
    piece = Piece(w, 0.08, h)
    item = piece.item("clutter", yaw_deg=kit.u(-25, 25))
    rim = kit.some("wood")
    lean = h * 0.2
    item.quad(rim, (w / 2, 0.02, 0), (-w, 0, 0), (0, -lean, h))
    item.quad(
        kit.new("print", repeat_m=w), (w * 0.4, 0.022, h * 0.1), (-w * 0.8, 0, 0), (0, -lean * 0.8, h * 0.8)
    )
    return piece


def gadget(kit: Kit) -> Piece:
    """A device such as a telephone, radio, router, drill or toy: a few joined solids."""
    s = kit.u(0.08, 0.22)
    piece = Piece(s, s, s * 0.7)
    item = piece.item("clutter", yaw_deg=kit.u(0, 360))
    body = kit.some("plastic") if kit.chance(0.6) else kit.dark()
    item.put(
        kit.choose(["soft", "box", "pillow", "drum"]),
        body,
        (0, 0, 0),
        (s, s * kit.u(0.5, 0.9), s * kit.u(0.25, 0.6)),
    )
    for _ in range(kit.n(1, 3)):
        at = (kit.u(-0.25, 0.25) * s, kit.u(-0.2, 0.2) * s, s * 0.2)
        size = (s * kit.u(0.15, 0.5), s * kit.u(0.15, 0.5), s * kit.u(0.15, 0.5))
        item.put(kit.choose(["soft", "rod", "ball", "box"]), kit.some("plastic"), at, size, kit.u(0, 90))
    if kit.chance(0.3):
        item.rod(body, (0.2 * s, 0, s * 0.2), (0.3 * s, 0, s * 1.1), 0.004, "wire")
    return piece


def heap(kit: Kit) -> Piece:
    """Cloth, a bag or a soft toy."""
    s = kit.u(0.15, 0.4)
    piece = Piece(s, s, s * 0.5)
    item = piece.item("clutter", yaw_deg=kit.u(0, 360))
    size = (s, s * kit.u(0.6, 1), s * kit.u(0.2, 0.6))
    item.put(f"lump{kit.n(0, 3)}", kit.some("fabric"), (0, 0, 0), size)
    return piece


def pan(kit: Kit) -> Piece:
    """A cooking pot, pan or kettle."""
    d, h = kit.u(0.16, 0.28), kit.u(0.05, 0.2)
    piece = Piece(d + 0.1, d, h + 0.04)
    item = piece.item("clutter", yaw_deg=kit.u(0, 360))
    metal = kit.steel() if kit.chance(0.6) else kit.dark()
    item.put("mug", metal, (0, 0, 0), (d, d, h))
    if kit.chance(0.5):
        item.rod(kit.dark(), (d / 2, 0, h * 0.8), (d / 2 + 0.17, 0, h * 0.9), 0.011)
    else:
        item.put("shade", metal, (0, 0, h), (d, d, 0.02))
        item.put("nub", kit.dark(), (0, 0, h + 0.015), (0.03, 0.03, 0.03))
    return piece


def cable(kit: Kit, item: Item, start: Sequence[float], end: Sequence[float], sag: float) -> None:
    """A cable that hangs between two points."""
    points = []
    for k in range(6):
        t = k / 5
        points.append([a + (b - a) * t for a, b in zip(start, end, strict=True)])
        points[-1][2] = max(points[-1][2] - 4 * sag * t * (1 - t), 0.006)
    item.path(kit.dark(), points, kit.u(0.003, 0.006))
