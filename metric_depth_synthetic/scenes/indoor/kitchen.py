"""Kitchen rows, bathroom fittings and household machines."""

from __future__ import annotations

from metric_depth_synthetic.scene import Material
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Item, Piece, Top


def kitchen_row(kit: Kit, width: float) -> Piece:
    """Base cupboards under one counter with sink and hob, an oven, and cupboards on the wall above."""
    depth, height = 0.62, kit.u(0.86, 0.94)
    piece = Piece(width, depth, height)
    front = kit.light() if kit.chance(0.5) else kit.some("wood" if kit.chance(0.6) else "paint")
    base = piece.item("furniture")
    counter = kit.new(kit.choose(["wood", "concrete", "plastic", "paint"]))
    x, y = width / 2, depth / 2
    base.box(kit.dark(), (-x, -y, 0), (x, y - 0.08, 0.1))
    base.box(front, (-x, -y, 0.1), (x, y - 0.04, height - 0.04))
    table = piece.item("table")
    table.box(counter, (-x, -y, height - 0.04), (x, y, height))
    cells = max(1, int(width / 0.6))
    step = width / cells
    oven = kit.n(0, cells - 1)
    sink = (oven + kit.n(1, max(1, cells - 1))) % cells
    for k in range(cells):
        x0 = -x + k * step
        if k == oven:
            oven_front(kit, piece.item("furniture"), x0, step, y - 0.04, height)
            _hob(kit, piece.item("clutter"), x0 + step / 2, height)
        else:
            _fronts(kit, base, front, x0, step, y - 0.04, height - 0.05)
        if k == sink and cells > 1:
            _sink(kit, piece.item("furniture"), x0 + step / 2, -0.02, height)
        else:
            room = 0.45
            piece.tops.append(
                Top((x0, -y + 0.02), (x0 + step, y - 0.12 if k != oven else -y + 0.14), height, room)
            )
    if kit.chance(0.75):
        _wall_cupboards(kit, piece, front, width, oven, step)
    return piece


def oven_front(kit: Kit, item: Item, x0: float, step: float, y: float, height: float) -> None:
    """The front of an oven or dishwasher below a counter."""
    steel, dark = kit.steel(), kit.new("glass", colour=(0.02, 0.02, 0.025))
    item.box(steel, (x0 + 0.005, y, 0.12), (x0 + step - 0.005, y + 0.02, height - 0.05))
    item.box(dark, (x0 + 0.05, y + 0.02, 0.25), (x0 + step - 0.05, y + 0.024, height - 0.25))
    item.rod(steel, (x0 + 0.06, y + 0.05, height - 0.2), (x0 + step - 0.06, y + 0.05, height - 0.2), 0.009)
    for k in range(4):
        at = x0 + step * (0.2 + 0.2 * k)
        item.rod(kit.dark(), (at, y + 0.02, height - 0.1), (at, y + 0.045, height - 0.1), 0.018)


def _hob(kit: Kit, item: Item, x: float, height: float) -> None:
    item.box(kit.dark(), (x - 0.28, -0.2, height), (x + 0.28, 0.24, height + 0.006))
    for i in (-1, 1):
        for j in (-1, 1):
            at = (x + 0.13 * i, 0.02 + 0.11 * j, height + 0.006)
            item.put("drum", kit.steel(), at, (0.17, 0.17, kit.choose([0.002, 0.02])))
    if kit.chance(0.5):
        d = kit.u(0.16, 0.24)
        pot = kit.steel()
        item.put("mug", pot, (x - 0.13, -0.09, height + 0.02), (d, d, kit.u(0.06, 0.18)))


def _sink(kit: Kit, item: Item, x: float, y: float, height: float) -> None:
    steel = kit.steel()
    item.box(kit.dark(), (x - 0.22, y - 0.16, height), (x + 0.22, y + 0.18, height + 0.002))
    for b, d in ((-0.2, -0.16), (0.18, 0.22)):
        item.box(steel, (x - 0.25, y + b, height), (x + 0.25, y + d, height + 0.008))
    for a, c in ((-0.25, -0.22), (0.22, 0.25)):
        item.box(steel, (x + a, y - 0.16, height), (x + c, y + 0.18, height + 0.008))
    tap = [
        (x, y - 0.23, height),
        (x, y - 0.23, height + 0.24),
        (x, y - 0.17, height + 0.29),
        (x, y - 0.06, height + 0.27),
    ]
    item.path(steel, tap, 0.013)


def _fronts(kit: Kit, item: Item, front: Material, x0: float, step: float, y: float, top: float) -> None:
    handle = kit.steel()
    rows = [(0.11, top)] if kit.chance(0.5) else [(0.11, top - 0.17), (top - 0.16, top)]
    if kit.chance(0.3):
        rows = [(0.11, 0.36), (0.37, 0.62), (0.63, top)]
    for low, high in rows:
        item.box(front, (x0 + 0.004, y, low), (x0 + step - 0.004, y + 0.02, high))
        z = high - 0.05
        item.rod(handle, (x0 + step * 0.3, y + 0.045, z), (x0 + step * 0.7, y + 0.045, z), 0.006)


def _wall_cupboards(kit: Kit, piece: Piece, front: Material, width: float, oven: int, step: float) -> None:
    low, high = kit.u(1.38, 1.5), kit.u(2.0, 2.18)
    x, back = width / 2, -0.31
    item = piece.item("furniture")
    cells = max(1, int(width / 0.6))
    piece.height = high
    for k in range(cells):
        x0 = -x + k * step
        if k == oven:
            hood = piece.item("furniture")
            steel = kit.steel()
            hood.box(steel, (x0 + 0.02, back, 1.55), (x0 + step - 0.02, back + 0.48, 1.62))
            hood.box(
                steel, (x0 + step / 2 - 0.14, back, 1.62), (x0 + step / 2 + 0.14, back + 0.28, high + 0.1)
            )
            continue
        if kit.chance(0.1):
            continue
        item.box(front, (x0, back, low), (x0 + step, back + 0.33, high))
        item.box(
            front, (x0 + 0.004, back + 0.33, low + 0.004), (x0 + step - 0.004, back + 0.35, high - 0.004)
        )
        item.rod(
            kit.steel(), (x0 + 0.06, back + 0.37, low + 0.08), (x0 + 0.06, back + 0.37, low + 0.2), 0.006
        )


def fridge(kit: Kit) -> Piece:
    """A fridge, tall or low."""
    width, depth = kit.u(0.55, 0.72), kit.u(0.58, 0.7)
    height = kit.choose([0.86, 1.45, 1.75, 1.9])
    piece = Piece(width, depth, height)
    item = piece.item("furniture")
    body = kit.light() if kit.chance(0.6) else kit.steel()
    x, y = width / 2, depth / 2
    item.box(body, (-x, -y, 0.02), (x, y - 0.06, height))
    split = height if height < 1 else height * kit.choose([0.35, 0.65])
    for low, high in ((0.06, split - 0.004), (split + 0.004, height)):
        if high - low > 0.1:
            item.box(body, (-x, y - 0.055, low), (x, y, high))
            z = min(max(split, low + 0.15), high - 0.15)
            item.rod(kit.steel(), (-x + 0.06, y + 0.03, z - 0.1), (-x + 0.06, y + 0.03, z + 0.1), 0.01)
    if kit.chance(0.4):
        notes = piece.item("clutter")
        for _ in range(kit.n(1, 5)):
            s = kit.u(0.06, 0.15)
            at, z = kit.u(-x + 0.1, x - 0.1 - s), kit.u(height * 0.5, height - s - 0.05)
            notes.box(kit.some("print"), (at, y, z), (at + s, y + 0.002, z + s * 1.2))
    piece.tops.append(Top((-x, -y), (x, y - 0.1), height))
    return piece


def washer(kit: Kit) -> Piece:
    """A washing machine."""
    piece = Piece(0.6, 0.6, 0.85)
    item = piece.item("furniture")
    item.box(kit.light(), (-0.3, -0.3, 0), (0.3, 0.28, 0.85))
    item.rod(kit.steel(), (0, 0.28, 0.42), (0, 0.3, 0.42), 0.19, "drum")
    item.rod(kit.dark(), (0, 0.3, 0.42), (0, 0.31, 0.42), 0.14, "drum")
    item.box(kit.dark(), (0.05, 0.28, 0.74), (0.25, 0.285, 0.8))
    piece.tops.append(Top((-0.3, -0.3), (0.3, 0.3), 0.85))
    return piece


def toilet(kit: Kit) -> Piece:
    """A toilet with its cistern."""
    piece = Piece(0.4, 0.66, 0.8)
    item = piece.item("furniture")
    white = kit.light()
    item.put("soft", white, (0, 0.08, 0), (0.24, 0.42, 0.36))
    item.put("bowl", white, (0, 0.1, 0.18), (0.37, 0.46, 0.22))
    item.put("drum", white, (0, 0.09, 0.4), (0.37, 0.46, 0.03))
    item.put("soft", white, (0, -0.24, 0.36), (0.4, 0.17, 0.42))
    return piece


def basin(kit: Kit) -> Piece:
    """A wash basin with a mirror above."""
    piece = Piece(0.6, 0.46, 0.88)
    item = piece.item("furniture")
    white = kit.light()
    if kit.chance(0.5):
        item.box(kit.some("wood"), (-0.29, -0.23, 0.12), (0.29, 0.2, 0.74))
    else:
        item.put("taper", white, (0, -0.08, 0), (0.2, 0.2, 0.72))
    item.put("bowl", white, (0, 0, 0.7), (0.6, 0.46, 0.16))
    item.path(kit.steel(), [(0, -0.2, 0.84), (0, -0.2, 0.96), (0, -0.08, 0.94)], 0.013)
    mirror = piece.item("furniture")
    mirror.box(kit.new("glass"), (-0.28, -0.225, 1.15), (0.28, -0.21, 1.85))
    piece.height = 1.85
    return piece


def bath(kit: Kit) -> Piece:
    """A bathtub with water or without."""
    width, depth, height = kit.u(1.5, 1.75), kit.u(0.68, 0.8), 0.56
    piece = Piece(width, depth, height)
    item = piece.item("furniture")
    white = kit.light()
    x, y, t = width / 2, depth / 2, 0.07
    for side in (-1, 1):
        item.box(white, (side * x, -y, 0), (side * (x - t), y, height))
        item.box(white, (-x, side * y, 0), (x, side * (y - t), height))
    item.box(white, (-x + t, -y + t, 0), (x - t, y - t, kit.u(0.12, 0.35)))
    item.path(kit.steel(), [(0.2, -y + 0.02, 0.62), (0.2, -y + 0.14, 0.62)], 0.018)
    return piece


def shower(kit: Kit) -> Piece:
    """A shower tray with a pipe, head and curtain."""
    piece = Piece(0.9, 0.9, 2.05)
    item = piece.item("furniture")
    item.box(kit.light(), (-0.45, -0.45, 0), (0.45, 0.45, 0.12))
    item.path(kit.steel(), [(0, -0.42, 0.9), (0, -0.42, 2.0), (0, -0.15, 2.05)], 0.012)
    item.put("shade", kit.steel(), (0, -0.13, 1.98), (0.2, 0.2, 0.04))
    item.put("curtain", kit.some("fabric"), (-0.2 * kit.sign(), 0.42, 0.1), (0.5, 0.08, 1.9))
    return piece
