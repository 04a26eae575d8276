"""Workbenches, racks, machines and pipes."""

from __future__ import annotations

from metric_depth_synthetic.scenes.indoor import furniture, scatter, storage
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.plan import Plan
from metric_depth_synthetic.scenes.indoor.solids import Piece, Top


def workbench(kit: Kit, density: float, *, backed: bool = True) -> Piece:
    """A bench full of tools, sometimes with a pegboard behind it."""
    w, d = kit.u(1.2, 2.4), kit.u(0.6, 0.8)
    piece = furniture.table(kit, w, d, kit.u(0.8, 0.95))
    shelf = piece.item("table")
    shelf.box(kit.some("wood"), (-w / 2 + 0.08, -d / 2 + 0.08, 0.2), (w / 2 - 0.08, d / 2 - 0.08, 0.225))
    scatter.scatter(kit, piece, piece.tops[0], "shop", 0.2 + 0.7 * density)
    low = Top((-w / 2 + 0.1, -d / 2 + 0.1), (w / 2 - 0.1, d / 2 - 0.1), 0.225, 0.5)
    scatter.scatter(kit, piece, low, "store", density * 0.6)
    if kit.chance(0.4):
        _vise(kit, piece, kit.u(-0.3, 0.3) * w, d / 2, piece.tops[0].z)
    piece.height += 0.25
    if backed and kit.chance(0.5):
        _pegboard(kit, piece, w, -d / 2, kit.u(1.15, 1.3))
    return piece


def _vise(kit: Kit, piece: Piece, x: float, y: float, z: float) -> None:
    item = piece.item("object", x, y - 0.12, z)
    metal = kit.some("metal")
    item.box(metal, (-0.06, -0.1, 0), (0.06, 0.1, 0.08))
    item.box(metal, (-0.09, -0.03, 0.08), (0.09, 0.01, 0.15))
    item.box(metal, (-0.09, 0.06, 0.06), (0.09, 0.1, 0.15))
    item.rod(kit.steel(), (-0.09, 0.2, 0.1), (0.09, 0.2, 0.1), 0.008)
    item.rod(kit.steel(), (0, 0.1, 0.1), (0, 0.2, 0.1), 0.012)


def _pegboard(kit: Kit, piece: Piece, width: float, y: float, low: float) -> None:
    high = low + kit.u(0.5, 0.8)
    board = piece.item("object")
    board.box(kit.some("wood"), (-width / 2, y - 0.01, low), (width / 2, y + 0.012, high))
    tools = piece.item("clutter")
    x = -width / 2 + 0.1
    while x < width / 2 - 0.1:
        long = kit.u(0.12, 0.38)
        z = high - 0.08
        grip = kit.some("plastic") if kit.chance(0.6) else kit.some("wood")
        tools.rod(grip, (x, y + 0.035, z - long), (x, y + 0.035, z - long * 0.5), 0.014)
        tools.rod(kit.steel(), (x, y + 0.03, z - long * 0.5), (x, y + 0.03, z), 0.006)
        if kit.chance(0.4):
            tools.box(kit.steel(), (x - 0.06, y + 0.015, z - 0.03), (x + 0.05, y + 0.04, z))
        x += kit.u(0.07, 0.2)
    piece.height = high


def metal_rack(kit: Kit, density: float) -> Piece:
    """A rack of steel with cartons, tins and devices."""
    piece = storage.shelves(kit, kit.u(0.8, 1.8), kit.u(1.5, 2.2), kit.u(0.35, 0.6), levels=kit.n(3, 5))
    scatter.fill_shelf(kit, piece, kit.choose(["store", "store", "shop"]), 0.3 + 0.6 * density)
    return piece


def machine(kit: Kit) -> Piece:
    """A machine tool, server cabinet, printer or compressor: joined solids."""
    w, d, h = kit.u(0.5, 1.4), kit.u(0.5, 0.9), kit.u(0.7, 1.9)
    piece = Piece(w, d, h)
    item = piece.item("object")
    paint, dark = kit.some("paint"), kit.dark()
    body = h * kit.u(0.45, 0.75)
    item.box(paint, (-w / 2, -d / 2, 0.05), (w / 2, d / 2, body))
    item.box(dark, (-w / 2 + 0.03, -d / 2 + 0.03, 0), (w / 2 - 0.03, d / 2 - 0.03, 0.05))
    top = body
    for _ in range(kit.n(1, 3)):
        a, b, c = w * kit.u(0.25, 0.8), d * kit.u(0.3, 0.8), (h - top) * kit.u(0.4, 0.9)
        unit = kit.choose(["box", "box", "soft", "drum"])
        item.put(
            unit, kit.some("metal"), (kit.u(-0.5, 0.5) * (w - a), kit.u(-0.5, 0.5) * (d - b), top), (a, b, c)
        )
        top += c * 0.8
    panel = kit.new("screen", repeat_m=0.4)
    x = kit.u(-0.3, 0.1) * w
    item.quad(panel, (x + 0.2, d / 2 + 0.003, body * 0.6), (-0.2, 0, 0), (0, 0, body * 0.25))
    for _ in range(kit.n(1, 4)):
        at, z = kit.u(-0.4, 0.4) * w, kit.u(0.3, 0.9) * body
        item.rod(dark, (at, d / 2, z), (at, d / 2 + 0.03, z), kit.u(0.01, 0.04))
    if kit.chance(0.5):
        item.path(kit.steel(), [(w * 0.4, 0, body), (w * 0.4, 0, h), (w * 0.1, 0, h)], 0.02)
    return piece


def ceiling_pipes(kit: Kit, root: Piece, plan: Plan) -> None:
    """Pipes, ducts and cable trays under the ceiling, along x or y."""
    low = plan.low + 0.2
    size = (plan.inside.shape[1] * 0.05 - 0.4, plan.inside.shape[0] * 0.05 - 0.4)
    along = kit.n(0, 1)
    for _ in range(kit.n(1, 4)):
        radius = kit.choose([0.02, 0.03, 0.05, 0.12])
        across = kit.u(0.15, size[1 - along] - 0.15)
        z = plan.height - radius - kit.u(0.03, 0.2)
        start, end = [0.0, 0.0, z], [0.0, 0.0, z]
        start[along], end[along] = float(low[along]), float(low[along]) + size[along]
        start[1 - along] = end[1 - along] = float(low[1 - along]) + across
        item = root.item("structure")
        item.rod(
            kit.steel() if kit.chance(0.6) else kit.some("paint"),
            start,
            end,
            radius,
            "rod" if radius < 0.1 else "drum",
        )
        for k in range(3):
            t = (k + 0.5) / 3
            x, y = start[0] + t * (end[0] - start[0]), start[1] + t * (end[1] - start[1])
            item.rod(kit.dark(), (x, y, z), (x, y, plan.height), 0.006, "wire")
