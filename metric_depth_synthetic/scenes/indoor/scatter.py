"""Places small things on tables, desks and counters, and in rows on shelves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from metric_depth_synthetic.scenes.indoor.clutter import (
    book_stack,
    bottle,
    bowl,
    carton,
    desk_lamp,
    frame,
    gadget,
    heap,
    laptop,
    mug,
    pan,
    papers,
    plant,
    tin,
    vase,
)
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.solids import Piece, Top

Maker = Callable[[Kit], Piece]


def books_in(kit: Kit, width: float, depth: float, room: float, *, binders: bool = False) -> Piece:
    """A row of books along x on a shelf, spines towards +y, some leaning or lying."""
    piece = Piece(width, depth, room)
    item = piece.item("clutter")
    covers = [kit.some("print" if kit.chance(0.5) else "plastic") for _ in range(6)]
    x, stop = -width / 2 + 0.005, width / 2 - 0.01
    tall, deep = room * kit.u(0.6, 0.85), min(depth - 0.01, kit.u(0.14, 0.24))
    if binders:
        tall, deep = min(room * 0.93, 0.32), min(depth - 0.01, 0.28)
    front = kit.u(-0.02, 0.0) + depth / 2
    number = 0
    while x < stop - 0.01:
        t = kit.u(0.05, 0.08) if binders else kit.u(0.012, 0.05)
        h = tall * (1 if binders else kit.u(0.75, 1.12))
        d = deep * kit.u(0.85, 1.0)
        if x + t > stop:
            break
        item.box(
            covers[number % len(covers)],
            (x, front - d, 0),
            (x + t - 0.001, front - kit.u(0, 0.015), min(h, room - 0.01)),
        )
        x += t
        number += kit.n(1, 3)
        if kit.chance(0.05):
            x += kit.u(0.03, 0.2)
        if kit.chance(0.06) and x + tall * 0.5 < stop and not binders:
            lean = tall * 0.35
            item.quad(
                covers[number % 6], (x + lean, front, 0), (-0.001, -d, 0), (-lean * 0.9, 0, tall * 0.92)
            )
            x += lean + 0.02
    return piece


KINDS: dict[str, tuple[Maker, ...]] = {
    "desk": (
        mug,
        book_stack,
        papers,
        papers,
        papers,
        tin,
        bottle,
        gadget,
        desk_lamp,
        plant,
        laptop,
        carton,
        frame,
        gadget,
    ),
    "kitchen": (mug, mug, bottle, bottle, bowl, bowl, pan, tin, tin, carton, vase, gadget, plant),
    "table": (mug, bowl, bottle, vase, papers, book_stack, laptop, plant, gadget, bowl, mug),
    "living": (book_stack, vase, plant, bowl, frame, gadget, papers, mug, desk_lamp, heap),
    "bath": (bottle, bottle, tin, mug, heap, bottle),
    "shop": (gadget, carton, tin, bottle, gadget, heap, carton, papers, pan),
    "store": (carton, carton, carton, tin, bottle, gadget),
    "shelf": (carton, vase, tin, book_stack, gadget, plant, bowl, frame, bottle, heap),
}


def scatter(
    kit: Kit,
    piece: Piece,
    top: Top,
    kind: str,
    density: float,
    *,
    keep: Sequence[tuple[float, float, float]] = (),
) -> None:
    """Puts small things on a top until about ``density`` of it is covered.

    Args:
        keep: circles (x, y, radius) on the top that are already occupied.
    """
    makers = KINDS[kind]
    (x0, y0), (x1, y1) = top.low, top.high
    area = (x1 - x0) * (y1 - y0)
    taken = list(keep)
    covered, tries = 0.0, 0
    most = min(20, int(6 + 24 * density * area))
    while covered < density * area and tries < most:
        tries += 1
        thing = kit.choose(makers)(kit)
        if thing.height > top.headroom - 0.01:
            continue
        r = 0.5 * max(thing.width, thing.depth) * 1.05
        if 2 * r > x1 - x0 or 2 * r > y1 - y0:
            half = min(x1 - x0, y1 - y0) / 2
            if r > 1.5 * half or thing.depth > 2 * half or thing.width > 2 * half:
                continue
            r = half
        x, y = kit.u(x0 + r, x1 - r), kit.u(y0 + r, y1 - r)
        if any((x - a) ** 2 + (y - b) ** 2 < (r + c) ** 2 for a, b, c in taken):
            continue
        taken.append((x, y, r))
        covered += 3.5 * r * r
        piece.add(thing, x, y, top.z)


def fill_shelf(kit: Kit, piece: Piece, kind: str, density: float) -> None:
    """Fills the boards of a shelf: ``kind`` is "books", "binders" or one of KINDS."""
    for top in list(piece.tops):
        if kit.chance(max(0.0, 0.85 - density)):
            continue
        width, depth = top.high[0] - top.low[0], top.high[1] - top.low[1]
        room = min(top.headroom, 0.4)
        x = (top.low[0] + top.high[0]) / 2
        y = (top.low[1] + top.high[1]) / 2
        if kind in ("books", "binders") and room > 0.18 and kit.chance(0.85):
            part = width * kit.choose([1.0, 1.0, 0.8, 0.5])
            row = books_in(kit, part, depth, room, binders=kind == "binders" and room > 0.3)
            piece.add(row, x - (width - part) / 2, y, top.z)
            if part < 0.9 * width:
                rest = Top((top.low[0] + part + 0.02, top.low[1]), top.high, top.z, top.headroom)
                scatter(kit, piece, rest, "shelf", density * 0.7)
        else:
            scatter(kit, piece, top, "shelf" if kind in ("books", "binders") else kind, density)
