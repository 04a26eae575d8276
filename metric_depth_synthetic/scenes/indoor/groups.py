"""Groups of furniture: a desk with chair and things on it, a table with chairs, a sofa with table."""

from __future__ import annotations

import dataclasses

from metric_depth_synthetic.scenes.indoor import clutter, furniture, scatter, storage
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.people import person
from metric_depth_synthetic.scenes.indoor.solids import Piece, Top


def workplace(kit: Kit, density: float, *, width: float = 0.0, chair: bool = True) -> Piece:
    """A desk with screens, keyboard, clutter and an office chair; the wall side is at -y."""
    w, d = width or kit.u(1.1, 1.8), kit.u(0.62, 0.85)
    room = kit.u(0.5, 0.8) if chair else 0.0
    piece = Piece(w, d + room, 1.25)
    table = furniture.desk(kit, w, d)
    top = table.tops[0]
    keep: list[tuple[float, float, float]] = []
    count = kit.choose([0, 1, 1, 1, 2, 2, 3]) if w > 1.3 else kit.choose([0, 1, 1, 2])
    middle = kit.u(-0.15, 0.15) * w
    for k in range(count):
        size = kit.u(0.45, 0.62)
        x = middle + (k - (count - 1) / 2) * 0.6
        if abs(x) > w / 2 - size / 2:
            continue
        table.add(
            clutter.monitor(kit, size), x, -d / 2 + kit.u(0.14, 0.24), top.z, -14 * (k - (count - 1) / 2)
        )
        keep.append((x, -d / 2 + 0.2, 0.26))
    if count and kit.chance(0.9):
        x = min(max(middle, -w / 2 + 0.35), w / 2 - 0.35)
        table.add(clutter.keyboard(kit), x, d / 2 - kit.u(0.12, 0.25), top.z)
        keep.append((x, d / 2 - 0.18, 0.28))
    elif not count and kit.chance(0.6):
        table.add(clutter.laptop(kit), 0, kit.u(-0.05, 0.1), top.z, kit.u(-15, 15))
        keep.append((0, 0.02, 0.24))
    scatter.scatter(kit, table, top, "desk", density * kit.u(0.4, 1.2), keep=keep)
    if count and kit.chance(0.7):
        wires = table.item("clutter")
        for _ in range(kit.n(1, 3)):
            x = kit.u(-0.4, 0.4) * w
            clutter.cable(
                kit, wires, (x, -d / 2 + 0.05, top.z), (x + kit.u(-0.4, 0.4), -d / 2 + 0.02, 0.03), 0.1
            )
    piece.add(table, 0, -room / 2)
    if kit.chance(0.25):
        _computer(kit, piece, kit.sign() * (w / 2 - 0.15), -room / 2)
    if chair:
        _seat_at_desk(kit, piece, middle * 0.5, d / 2 - room / 2)
    return piece


def _computer(kit: Kit, piece: Piece, x: float, y: float) -> None:
    item = piece.item("furniture", x, y)
    item.box(kit.dark(), (-0.1, -0.22, 0.01), (0.1, 0.22, 0.43))
    item.box(kit.steel(), (-0.08, 0.22, 0.3), (0.08, 0.224, 0.4))


def _seat_at_desk(kit: Kit, piece: Piece, x: float, edge: float) -> None:
    seat = furniture.office_chair(kit) if kit.chance(0.8) else furniture.chair(kit)
    y = edge + kit.u(0.12, 0.38)
    turn = 180 + kit.u(-50, 50)
    if kit.chance(0.1):
        piece.add(person(kit, sitting=True), x, y, 0, 180 + kit.u(-10, 10))
        turn = 180
    piece.add(seat, x, y, 0, turn)
    if kit.chance(0.12):
        rest = piece.item("clutter", x, y)
        rest.put("lump1", kit.some("fabric"), (0, 0, 0.5), (0.4, 0.35, 0.2), turn)


def desk_island(kit: Kit, density: float) -> Piece:
    """Two or four workplaces facing each other, sometimes with a screen between them."""
    pairs = kit.n(1, 2)
    w = kit.u(1.3, 1.7)
    piece = Piece(pairs * w, 0.0, 1.25)
    for k in range(pairs):
        x = (k - (pairs - 1) / 2) * w
        for turn in (0, 180):
            one = workplace(kit, density, width=w - 0.02)
            one.width = w
            piece.depth = max(piece.depth, 2 * one.depth + 0.05)
            y = one.depth / 2 + 0.02
            piece.add(one, x, y if turn == 0 else -y, 0, turn)
    if kit.chance(0.5):
        piece.add(furniture.partition(kit, pairs * w, kit.u(1.05, 1.5)), 0, 0)
    return piece


def cubicle(kit: Kit, density: float) -> Piece:
    """A workplace with screens on three sides, open at +y."""
    w, d, h = kit.u(1.7, 2.2), kit.u(1.6, 2.1), kit.u(1.2, 1.7)
    piece = Piece(w + 0.1, d + 0.1, h)
    one = workplace(kit, density, width=w - 0.1)
    piece.add(furniture.partition(kit, w, h), 0, -d / 2)
    for side in (-1, 1):
        piece.add(furniture.partition(kit, d, h), side * w / 2, 0, 0, 90)
    piece.add(one, 0, -d / 2 + 0.05 + one.depth / 2)
    return piece


def table_group(kit: Kit, density: float, kind: str = "table", *, long: float = 0.0) -> Piece:
    """A table with chairs around it and things on it."""
    length = long or kit.u(0.8, 2.0)
    w = length
    d = kit.u(0.7, 1.0) if length > 1.1 else length
    table = furniture.table(kit, w, d)
    scatter.scatter(kit, table, table.tops[0], kind, density * kit.u(0.1, 0.6))
    piece = Piece(w + 0.9, d + 1.0, 1.0)
    piece.add(table)
    seats = max(1, int(w / 0.62))
    model = kit.n(0, 1 << 30)
    for side in (-1, 1):
        for k in range(seats):
            if kit.chance(0.18):
                continue
            x = (k - (seats - 1) / 2) * w / seats + kit.u(-0.06, 0.06)
            _seat(kit, piece, model, x, side * (d / 2 + kit.u(-0.05, 0.22)), 0 if side < 0 else 180)
        if d > 0.75 and kit.chance(0.4):
            _seat(kit, piece, model, side * (w / 2 + kit.u(0.0, 0.2)), 0, 90 if side < 0 else -90)
    return piece


def _seat(kit: Kit, piece: Piece, model: int, x: float, y: float, turn: float) -> None:
    """A chair of a set at a table: the same random numbers give the same chair."""
    seat = furniture.chair(kit.twin(model))
    angle = turn + kit.u(-14, 14)
    piece.add(seat, x, y, 0, angle)
    if kit.chance(0.07):
        piece.add(person(kit, sitting=True), x, y, 0, turn)


def seating(kit: Kit, density: float) -> Piece:
    """A sofa with a low table in front of it on a rug, and sometimes armchairs; its back is at -y."""
    couch = furniture.sofa(kit, kit.choose([2, 2, 3, 3, 4]))
    if kit.chance(0.4):
        scatter.scatter(kit, couch, couch.tops[-1], "living", density * 0.25)
    low = furniture.low_table(kit)
    scatter.scatter(kit, low, low.tops[0], "living", density * kit.u(0.2, 0.7))
    gap = kit.u(0.3, 0.5)
    depth = couch.depth + gap + low.depth + 0.3
    piece = Piece(max(couch.width, low.width + 0.2), depth, couch.height)
    y0 = -depth / 2
    piece.add(couch, 0, y0 + couch.depth / 2)
    if kit.chance(0.9):
        piece.add(low, kit.u(-0.2, 0.2), y0 + couch.depth + gap + low.depth / 2, 0, kit.u(-4, 4))
    if kit.chance(0.65):
        piece.add(rug(kit, kit.u(1.5, 2.6), kit.u(1.2, 1.9)), 0, y0 + couch.depth + gap + 0.2)
    if kit.chance(0.15):
        piece.add(person(kit, sitting=True), kit.u(-0.4, 0.4), y0 + couch.depth / 2 + 0.05)
    return piece


def rug(kit: Kit, width: float, depth: float) -> Piece:
    """A rug or mat on the floor."""
    piece = Piece(width, depth, 0.012)
    item = piece.item("floor")
    unit = "drum" if kit.chance(0.12) else "box"
    item.put(unit, kit.new("fabric", repeat_m=kit.u(0.5, 2.0)), (0, 0, 0), (width, depth, 0.012))
    return piece


def television(kit: Kit, density: float) -> Piece:
    """A low board with a television on it."""
    w = kit.u(1.1, 2.0)
    board = storage.chest(kit, w, kit.u(0.35, 0.5), kit.u(0.35, 0.6))
    size = min(kit.u(0.8, 1.4), w - 0.1)
    screen = clutter.monitor(kit, size)
    board.add(screen, kit.u(-0.1, 0.1), -0.02, board.tops[0].z)
    z = board.tops[0].z
    for side in (-1, 1):
        low, high = sorted((side * (w / 2 - 0.02), side * (size / 2 + 0.03)))
        if high - low > 0.15:
            scatter.scatter(kit, board, Top((low, -0.15), (high, 0.15), z), "living", density)
    board.height = z + screen.height
    return board


def bookcase(kit: Kit, density: float, kind: str = "books") -> Piece:
    """A shelf full of books, binders or things."""
    tall = kit.choose([0.8, 1.2, 1.8, 2.0, 2.2])
    piece = storage.shelves(kit, kit.u(0.6, 1.6), tall, kit.u(0.24, 0.38))
    scatter.fill_shelf(kit, piece, kind, 0.25 + 0.6 * density)
    return piece


def drawers(kit: Kit, density: float, kind: str = "living") -> Piece:
    """A chest of drawers or sideboard with things on it."""
    piece = storage.chest(kit, kit.u(0.5, 1.8), kit.u(0.36, 0.5), kit.choose([0.5, 0.72, 0.8, 1.0, 1.2]))
    scatter.scatter(kit, piece, piece.tops[0], kind, density * kit.u(0.2, 0.8))
    piece.height += 0.3
    return piece


def cupboard(kit: Kit, density: float) -> Piece:
    """A wardrobe or tall cupboard, sometimes with boxes on top."""
    piece = storage.wardrobe(kit, kit.u(0.6, 1.8), kit.u(1.7, 2.15))
    if kit.chance(0.35):
        scatter.scatter(kit, piece, dataclasses.replace(piece.tops[0], headroom=0.25), "store", density * 0.6)
    return piece


def bedside(kit: Kit, density: float) -> Piece:
    """A bed with a night table beside its head."""
    sleeper = furniture.bed(kit)
    side = storage.chest(kit, kit.u(0.35, 0.5), kit.u(0.35, 0.45), kit.u(0.4, 0.6))
    scatter.scatter(kit, side, side.tops[0], "living", 0.5 * density + 0.2)
    piece = Piece(sleeper.width + side.width + 0.1, sleeper.depth, sleeper.height)
    turn = kit.sign()
    piece.add(sleeper, turn * (side.width + 0.1) / 2, 0)
    piece.add(side, -turn * (sleeper.width + 0.1) / 2, -sleeper.depth / 2 + side.depth / 2 + 0.02)
    if kit.chance(0.4):
        scatter.scatter(kit, piece, piece.tops[0], "living", density * 0.25)
    return piece
