"""People, standing, walking or sitting, with clothes."""

from __future__ import annotations

import math

from metric_depth_synthetic.scene import Material, Motion
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece

Joint = tuple[float, float, float]


def person(kit: Kit, *, sitting: bool = False, walking: bool = False) -> Piece:
    """A person who faces +y; for a sitting person the seat is at 0.45 m under (0, 0)."""
    tall = kit.u(1.5, 1.92) if kit.chance(0.9) else kit.u(1.0, 1.4)
    k = tall / 1.75
    hip = 0.53 if sitting else 0.92 * k
    piece = Piece(0.55, 0.5 if not sitting else 0.9, hip + 0.85 * k)
    item = piece.item("person")
    skin, top, trousers = kit.some("skin"), kit.new("fabric"), kit.new("fabric")
    lean = kit.u(-0.04, 0.12)
    neck = (0.0, lean, hip + 0.52 * k)
    _legs(kit, item, trousers, hip, k, sitting=sitting, walking=walking)
    item.rod(top, (0, 0.0, hip - 0.08 * k), (neck[0], neck[1], neck[2] + 0.04), 0.17 * k, "torso")
    item.rod(skin, neck, (0, neck[1] + 0.02, neck[2] + 0.12 * k), 0.055 * k)
    _head(kit, item, skin, (0, neck[1] + 0.03, neck[2] + 0.07 * k), k)
    bare = kit.chance(0.3)
    for side in (-1, 1):
        _arm(
            kit,
            item,
            top,
            skin,
            (side * 0.185 * k, neck[1], neck[2] - 0.05 * k),
            side,
            k,
            sitting=sitting,
            bare=bare,
        )
    if walking:
        piece.items[0].motion = Motion((0.0, kit.u(0.5, 1.4), 0.0))
    return piece


def _legs(
    kit: Kit, item: Item, cloth: Material, hip: float, k: float, *, sitting: bool, walking: bool
) -> None:
    shoe = kit.dark()
    stride = kit.u(0.1, 0.35) * kit.sign() if walking else kit.u(-0.05, 0.05)
    skirt = not walking and kit.chance(0.12)
    for side in (-1, 1):
        x = side * 0.09 * k
        if sitting:
            knee: Joint = (x * 1.6, 0.42 * k, hip - 0.02)
            foot: Joint = (x * 1.6, 0.42 * k + kit.u(-0.1, 0.15), 0.06)
        else:
            knee = (x * 1.05, side * stride * 0.6 + 0.03, hip * 0.52)
            foot = (x * 1.15, side * stride, 0.06)
        item.rod(cloth, knee, (x, 0, hip), 0.08 * k, "limb")
        item.rod(cloth, foot, knee, 0.058 * k, "limb")
        item.put("soft", shoe, (foot[0], foot[1] + 0.06, 0), (0.1 * k, 0.27 * k, 0.09 * k))
    item.put("pillow", cloth, (0, 0, hip - 0.12 * k), (0.34 * k, 0.24 * k, 0.26 * k))
    if skirt and not sitting:
        item.rod(cloth, (0, 0, hip), (0, 0, hip - 0.45 * k), 0.24 * k, "flare")


def _arm(
    kit: Kit,
    item: Item,
    cloth: Material,
    skin: Material,
    shoulder: Joint,
    side: int,
    k: float,
    *,
    sitting: bool,
    bare: bool,
) -> None:
    x, y, z = shoulder
    raised = kit.u(0.9, 1.6) if sitting or kit.chance(0.3) else kit.u(-0.2, 0.5)
    out = kit.u(0.03, 0.12)
    elbow = (x + side * out, y + 0.1 * raised, z - 0.27 * k)
    bend = raised + kit.u(0.0, 0.6)
    reach = 0.25 * k
    hand = (
        elbow[0] - side * 0.06 * raised,
        elbow[1] + reach * math.sin(bend),
        elbow[2] - reach * math.cos(bend),
    )
    item.rod(cloth, elbow, shoulder, 0.05 * k, "limb")
    item.rod(skin if bare else cloth, hand, elbow, 0.038 * k, "limb")
    item.put("ball", skin, (hand[0], hand[1], hand[2] - 0.05), (0.08, 0.09, 0.1))


def _head(kit: Kit, item: Item, skin: Material, at: Joint, k: float) -> None:
    x, y, z = at
    size = 0.16 + 0.04 * min(k, 1)
    item.put("ball", skin, (x, y, z), (0.155, size, 0.235))
    item.put("ball", skin, (x, y + size / 2 - 0.01, z + 0.09), (0.03, 0.05, 0.05))
    hair = kit.new(
        "fabric",
        colour=kit.choose([(0.02, 0.015, 0.01), (0.08, 0.04, 0.02), (0.3, 0.2, 0.08), (0.3, 0.3, 0.3)]),
    )
    long = kit.chance(0.35)
    item.put(
        "ball", hair, (x, y - 0.02, z + (0.02 if long else 0.1)), (0.18, size + 0.01, 0.23 if long else 0.15)
    )
