"""Cupboards, chests of drawers and shelves."""

from __future__ import annotations

from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece, Top, four_legs


def drawers_front(
    kit: Kit, item: Item, width: float, depth: float, low: float, high: float, count: int = 0
) -> None:
    """A chest of drawers with its front at +y."""
    body = kit.some("wood") if kit.chance(0.6) else kit.light()
    item.box(body, (-width / 2, -depth / 2, low), (width / 2, depth / 2, high))
    count = count or kit.n(2, 4)
    step = (high - low - 0.02) / count
    front = body if kit.chance(0.6) else kit.some("paint")
    handle = kit.steel()
    for k in range(count):
        z = low + 0.01 + k * step
        item.box(
            front,
            (-width / 2 + 0.008, depth / 2, z + 0.005),
            (width / 2 - 0.008, depth / 2 + 0.015, z + step - 0.005),
        )
        item.box(
            handle,
            (-0.06, depth / 2 + 0.015, z + step * 0.6),
            (0.06, depth / 2 + 0.035, z + step * 0.6 + 0.012),
        )


def chest(kit: Kit, width: float, depth: float, height: float) -> Piece:
    """A chest of drawers, sideboard or night table, with a top to put things on."""
    piece = Piece(width, depth + 0.04, height)
    item = piece.item("furniture", y=-0.02)
    columns = max(1, round(width / 0.6))
    cell = width / columns
    foot = kit.choose([0.0, 0.05, 0.12])
    material = kit.some("wood") if kit.chance(0.7) else kit.light()
    for k in range(columns):
        part = Piece(cell, depth, height).item("furniture")
        x = (k - (columns - 1) / 2) * cell
        if kit.chance(0.6):
            drawers_front(
                kit, part, cell, depth, foot, height - 0.025, kit.n(1, max(1, round(height / 0.22)))
            )
        else:
            _door_front(kit, part, material, cell, depth, foot, height - 0.025)
        for unit, stuff, row in part.solids:
            item.solids.append((unit, stuff, (*row[:3], row[3] + x, *row[4:])))
    item.box(
        material,
        (-width / 2 - 0.01, -depth / 2, height - 0.025),
        (width / 2 + 0.01, depth / 2 + 0.02, height),
    )
    if foot:
        four_legs(item, kit.dark(), width / 2 - 0.05, depth / 2 - 0.05, foot, 0.02, round_leg=True)
    piece.tops.append(Top((-width / 2, -depth / 2), (width / 2, depth / 2), height))
    return piece


def _door_front(
    kit: Kit, item: Item, body: Material, width: float, depth: float, low: float, high: float
) -> None:
    item.box(body, (-width / 2, -depth / 2, low), (width / 2, depth / 2, high))
    item.box(
        body,
        (-width / 2 + 0.006, depth / 2, low + 0.006),
        (width / 2 - 0.006, depth / 2 + 0.018, high - 0.006),
    )
    x, z = kit.sign() * (width / 2 - 0.05), (low + high) / 2
    item.rod(kit.steel(), (x, depth / 2 + 0.04, z - 0.06), (x, depth / 2 + 0.04, z + 0.06), 0.006)


def wardrobe(kit: Kit, width: float, height: float) -> Piece:
    """A tall cupboard with doors."""
    depth = kit.u(0.45, 0.65)
    piece = Piece(width, depth + 0.04, height)
    item = piece.item("furniture", y=-0.02)
    body = kit.some("wood") if kit.chance(0.6) else kit.choose([kit.light(), kit.some("paint"), kit.steel()])
    doors = max(1, round(width / 0.5))
    item.box(body, (-width / 2, -depth / 2, 0), (width / 2, depth / 2, height))
    cell = width / doors
    handle = kit.steel()
    for k in range(doors):
        x0 = -width / 2 + k * cell
        item.box(body, (x0 + 0.004, depth / 2, 0.07), (x0 + cell - 0.004, depth / 2 + 0.02, height - 0.03))
        at = x0 + (cell - 0.05 if k % 2 == 0 else 0.05)
        item.rod(handle, (at, depth / 2 + 0.035, 0.95), (at, depth / 2 + 0.035, 1.15), 0.008)
    piece.tops.append(Top((-width / 2, -depth / 2), (width / 2, depth / 2), height))
    return piece


def shelves(kit: Kit, width: float, height: float, depth: float, *, levels: int = 0) -> Piece:
    """An open shelf; every board is a top."""
    piece = Piece(width, depth, height)
    item = piece.item("furniture")
    board = kit.some("wood") if kit.chance(0.7) else kit.choose([kit.light(), kit.steel(), kit.some("paint")])
    metal = kit.chance(0.25)
    frame = kit.steel() if metal else board
    levels = levels or max(2, round(height / kit.u(0.28, 0.42)))
    x, y, t = width / 2, depth / 2, 0.02
    if metal:
        four_legs(item, frame, x - 0.015, y - 0.015, height, 0.015, round_leg=False)
    else:
        for side in (-1, 1):
            item.box(board, (side * x, -y, 0), (side * (x - t), y, height))
        if kit.chance(0.75):
            item.box(board, (-x, -y, 0.02), (x, -y + 0.008, height))
    step = (height - t) / levels
    base = 0.06 if levels > 2 else 0.02
    heights = [base, *(k * step for k in range(1, levels)), height - t]
    for k, z in enumerate(heights):
        item.box(board, (-x + t / 2, -y, z), (x - t / 2, y, z + t))
        room = heights[k + 1] - z - t if k + 1 < len(heights) else 0.6
        piece.tops.append(Top((-x + t, -y + 0.01), (x - t, y - 0.01), z + t, room))
    return piece
