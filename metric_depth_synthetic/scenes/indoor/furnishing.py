"""Furnishes each kind of room: large pieces first, then small things in the remaining space."""

from __future__ import annotations

from collections.abc import Callable

from metric_depth_synthetic.scenes.indoor import fittings as fit
from metric_depth_synthetic.scenes.indoor import furniture, kitchen, scatter
from metric_depth_synthetic.scenes.indoor import groups as group
from metric_depth_synthetic.scenes.indoor import workshop as works
from metric_depth_synthetic.scenes.indoor.kit import Kit
from metric_depth_synthetic.scenes.indoor.people import person
from metric_depth_synthetic.scenes.indoor.plan import Plan
from metric_depth_synthetic.scenes.indoor.solids import Piece

Furnish = Callable[[Kit, Piece, Plan, float], None]


def _area(plan: Plan) -> float:
    return float(plan.inside.sum()) * 0.0025


def _office(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    area = _area(plan)
    if area > 18 and kit.chance(0.45):
        for _ in range(kit.n(1, max(1, int(area / 14)))):
            maker = group.cubicle if kit.chance(0.25) else group.desk_island
            plan.anywhere(kit, root, maker(kit, density), gap=0.3)
    for _ in range(kit.n(1, max(2, min(6, int(area / 4))))):
        plan.against_wall(kit, root, group.workplace(kit, density), corner=kit.chance(0.4))
    for _ in range(kit.n(1, 2 + int(3 * density))):
        maker2 = kit.choose([group.bookcase, group.bookcase, group.cupboard, group.drawers])
        plan.against_wall(
            kit, root, maker2(kit, density, "binders") if maker2 is group.bookcase else maker2(kit, density)
        )
    if area > 16 and kit.chance(0.3):
        plan.anywhere(kit, root, group.table_group(kit, density, "desk"))
    _walls(kit, root, plan, density, boards=0.6)
    _floor(kit, root, plan, density, people=0.25)


def _living(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    area = _area(plan)
    if kit.chance(0.9):
        sofa = group.seating(kit, density)
        if kit.chance(0.25) or not plan.against_wall(kit, root, sofa):
            plan.anywhere(kit, root, group.seating(kit, density), gap=0.15)
    if kit.chance(0.75):
        plan.against_wall(kit, root, group.television(kit, density))
    for _ in range(kit.n(0, 2)):
        plan.anywhere(kit, root, furniture.sofa(kit, 1), gap=0.1, turned=True)
    if area > 14 and kit.chance(0.7):
        plan.anywhere(kit, root, group.table_group(kit, density), gap=0.1)
    for _ in range(kit.n(1, 2 + int(3 * density))):
        plan.against_wall(
            kit, root, kit.choose([group.bookcase, group.drawers, group.cupboard])(kit, density)
        )
    if kit.chance(0.3):
        plan.against_wall(kit, root, group.workplace(kit, density))
    if area > 18 and kit.chance(0.25):
        plan.against_wall(kit, root, kitchen_with_things(kit, density, kit.u(1.8, 3.0)), corner=True)
    _walls(kit, root, plan, density, pictures=4)
    _floor(kit, root, plan, density, people=0.2)


def kitchen_with_things(kit: Kit, density: float, width: float) -> Piece:
    """A kitchen row with things on its counter."""
    piece = kitchen.kitchen_row(kit, width)
    for top in piece.tops:
        scatter.scatter(kit, piece, top, "kitchen", density * kit.u(0.2, 0.9))
    return piece


def _kitchen(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    walls = sorted(plan.walls, key=lambda w: -w.length)
    for k in range(kit.n(1, 2)):
        width = min(walls[k].length * kit.u(0.5, 0.95), 4.2)
        row = kitchen_with_things(kit, density, width)
        if not plan.against_wall(kit, root, row, corner=True):
            plan.against_wall(kit, root, kitchen_with_things(kit, density, min(width, 1.8)))
    if kit.chance(0.85):
        plan.against_wall(kit, root, kitchen.fridge(kit), corner=kit.chance(0.4))
    if kit.chance(0.2):
        plan.against_wall(kit, root, kitchen.washer(kit))
    if _area(plan) > 7 and kit.chance(0.75):
        plan.anywhere(kit, root, group.table_group(kit, density, "kitchen"), gap=0.05)
    for _ in range(kit.n(0, 1 + int(2 * density))):
        plan.against_wall(kit, root, kit.choose([group.drawers, group.cupboard])(kit, density))
    _walls(kit, root, plan, density, pictures=2)
    _floor(kit, root, plan, density, people=0.2)


def _bedroom(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    plan.against_wall(kit, root, group.bedside(kit, density))
    for _ in range(kit.n(1, 3)):
        plan.against_wall(
            kit, root, kit.choose([group.cupboard, group.drawers, group.bookcase])(kit, density)
        )
    if kit.chance(0.6):
        plan.against_wall(kit, root, group.workplace(kit, density))
    if kit.chance(0.5):
        plan.anywhere(kit, root, group.rug(kit, kit.u(0.8, 2), kit.u(0.6, 1.4)), gap=0.0)
    if kit.chance(0.4):
        plan.anywhere(kit, root, furniture.chair(kit), gap=0.05, turned=True)
    _walls(kit, root, plan, density, pictures=3)
    _floor(kit, root, plan, density, people=0.08)


def _dining(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    for _ in range(1 if _area(plan) < 18 else kit.n(1, 4)):
        plan.anywhere(kit, root, group.table_group(kit, density, long=kit.u(1.2, 2.4)), gap=0.05)
    for _ in range(kit.n(1, 3)):
        plan.against_wall(
            kit,
            root,
            kit.choose([group.drawers, group.drawers, group.cupboard, group.bookcase])(kit, density),
        )
    _walls(kit, root, plan, density, pictures=4)
    _floor(kit, root, plan, density, people=0.25)


def _meeting(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    plan.anywhere(kit, root, group.table_group(kit, density, "desk", long=kit.u(2.0, 4.0)), gap=0.1)
    plan.anywhere(kit, root, group.table_group(kit, density, "desk", long=kit.u(1.0, 2.0)), gap=0.1)
    for _ in range(kit.n(0, 2)):
        plan.against_wall(kit, root, kit.choose([group.drawers, group.bookcase])(kit, density))
    _walls(kit, root, plan, density, boards=1.0)
    _floor(kit, root, plan, density * 0.6, people=0.4)


def _workshop(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    area = _area(plan)
    for _ in range(kit.n(1, 2 + int(area / 14))):
        plan.against_wall(kit, root, works.workbench(kit, density))
    for _ in range(kit.n(0, 1 + int(area / 16))):
        plan.anywhere(kit, root, works.workbench(kit, density, backed=False), gap=0.35)
    for _ in range(kit.n(1, 3)):
        plan.against_wall(kit, root, works.metal_rack(kit, density))
    for _ in range(kit.n(0, 1 + int(area / 12))):
        plan.anywhere(kit, root, works.machine(kit), gap=0.2)
    if kit.chance(0.6):
        works.ceiling_pipes(kit, root, plan)
    _walls(kit, root, plan, density, boards=0.4)
    _floor(kit, root, plan, density, people=0.35, technical=True)


def _storage(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    for _ in range(kit.n(2, 6)):
        plan.against_wall(kit, root, works.metal_rack(kit, density))
    for _ in range(kit.n(0, 6)):
        plan.anywhere(kit, root, fit.boxes(kit), gap=0.0, turned=True)
    for _ in range(kit.n(0, 3)):
        plan.anywhere(
            kit,
            root,
            kit.choose([furniture.chair, fit.bicycle, fit.ladder, fit.coat_stand])(kit),
            gap=0.0,
            turned=True,
        )
    if kit.chance(0.5):
        works.ceiling_pipes(kit, root, plan)
    _floor(kit, root, plan, density, people=0.1, technical=True)


def _bathroom(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    for maker in (kitchen.toilet, kitchen.basin, kit.choose([kitchen.bath, kitchen.shower])):
        plan.against_wall(kit, root, maker(kit), corner=maker in (kitchen.bath, kitchen.shower))
    if kit.chance(0.5):
        plan.against_wall(kit, root, kitchen.washer(kit))
    if kit.chance(0.6):
        plan.against_wall(kit, root, group.drawers(kit, density, "bath"))
    if kit.chance(0.5):
        plan.anywhere(kit, root, group.rug(kit, 0.8, 0.5), gap=0.0)
    _walls(kit, root, plan, density * 0.5)
    _floor(kit, root, plan, density * 0.4, people=0.05)


def _classroom(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    xs, ys = plan.inside.shape[1] * 0.05 - 0.4, plan.inside.shape[0] * 0.05 - 0.4
    pitch_x, pitch_y = kit.u(1.5, 2.0), kit.u(1.3, 1.7)
    for i in range(int((xs - 1.5) / pitch_x)):
        for j in range(int((ys - 2.2) / pitch_y)):
            x, y = 1.4 + i * pitch_x, 1.2 + j * pitch_y
            if kit.chance(0.1) or not plan.free(x, y, 1.3, 1.2, 0):
                continue
            seat = (
                group.workplace(kit, density, width=1.25) if kit.chance(0.2) else _school_desk(kit, density)
            )
            plan.stand(root, seat, x, y, 180)
    for _ in range(kit.n(1, 2)):
        plan.against_wall(kit, root, group.workplace(kit, density))
    plan.against_wall(kit, root, kit.choose([group.bookcase, group.cupboard])(kit, density))
    _walls(kit, root, plan, density, boards=1.5)
    _floor(kit, root, plan, density * 0.5, people=0.4)


def _school_desk(kit: Kit, density: float) -> Piece:
    piece = Piece(1.25, 1.15, 0.9)
    table = furniture.table(kit, 1.2, 0.5)
    scatter.scatter(kit, table, table.tops[0], "desk", density * 0.3)
    piece.add(table, 0, -0.3)
    for side in (-1, 1):
        if kit.chance(0.85):
            x, y = side * 0.3, 0.2 + kit.u(-0.1, 0.1)
            piece.add(furniture.chair(kit), x, y, 0, 180 + kit.u(-12, 12))
            if kit.chance(0.12):
                piece.add(person(kit, sitting=True), x, y, 0, 180)
    return piece


def _empty(kit: Kit, root: Piece, plan: Plan, density: float) -> None:
    for _ in range(kit.n(0, 2)):
        plan.anywhere(
            kit,
            root,
            kit.choose([furniture.chair, fit.boxes, fit.ladder, fit.bin_])(kit),
            gap=0.0,
            turned=True,
        )
    _walls(kit, root, plan, 0.2)


def _walls(
    kit: Kit, root: Piece, plan: Plan, density: float, *, pictures: float = 1.5, boards: float = 0.15
) -> None:
    """Radiators, boards, pictures, shelves and hooks on the walls."""
    for one in plan.walls:
        for hole in one.openings:
            if hole.kind == "window" and hole.low > 0.6 and kit.chance(0.5):
                heater = fit.radiator(kit)
                at = (hole.start + hole.end) / 2
                x, y = one.at(at, heater.depth / 2 + 0.02)
                if plan.free(x, y, heater.width, heater.depth, one.yaw_deg) and heater.height < hole.low:
                    plan.stand(root, heater, x, y, one.yaw_deg)
    for _ in range(int(boards + kit.u(0, 1))):
        plan.against_wall(kit, root, fit.board(kit))
    for _ in range(int(kit.u(0, pictures + 3 * density))):
        plan.against_wall(kit, root, fit.picture(kit))
    for _ in range(int(kit.u(0, 2.5 * density))):
        plan.against_wall(kit, root, fit.wall_shelf(kit, density))
    if kit.chance(0.25):
        plan.against_wall(kit, root, fit.coat_hooks(kit))
    if kit.chance(0.4):
        plan.against_wall(kit, root, fit.wall_clock(kit))


def _floor(
    kit: Kit, root: Piece, plan: Plan, density: float, *, people: float, technical: bool = False
) -> None:
    """Single things on the floor."""
    small = [
        fit.bin_,
        fit.bag,
        fit.boxes,
        fit.pot_plant,
        fit.floor_lamp,
        fit.coat_stand,
        furniture.stool,
        furniture.chair,
    ]
    if technical:
        small += [fit.ladder, fit.tripod, fit.boxes, fit.stack_chairs, fit.bicycle, fit.stack_chairs]
    for _ in range(int(kit.u(0, 1 + density * (4 + _area(plan) / 4)))):
        piece = kit.choose(small)(kit)
        if kit.chance(0.6):
            plan.against_wall(kit, root, piece, gap=0.03, corner=kit.chance(0.4))
        else:
            plan.anywhere(kit, root, piece, gap=0.03, turned=True)
    for maker, part in (
        (fit.bicycle, 0.04),
        (fit.tripod, 0.05),
        (fit.ladder, 0.03),
        (fit.stack_chairs, 0.08),
    ):
        if kit.chance(part):
            plan.against_wall(kit, root, maker(kit), gap=0.05)
    if plan.height > 2.3 and _area(plan) > 25 and kit.chance(0.25):
        plan.anywhere(kit, root, fit.column(kit, plan.height), gap=0.1)
    if kit.chance(people):
        for _ in range(kit.n(1, 2)):
            plan.anywhere(kit, root, person(kit, walking=kit.chance(0.5)), gap=0.2, turned=True)


FURNISHINGS: dict[str, Furnish] = {
    "office": _office, "living": _living, "kitchen": _kitchen, "bedroom": _bedroom, "dining": _dining,
    "meeting": _meeting, "workshop": _workshop, "storage": _storage, "bathroom": _bathroom,
    "classroom": _classroom, "empty": _empty,
}  # fmt: skip
