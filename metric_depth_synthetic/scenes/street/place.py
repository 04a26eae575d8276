"""Street under construction: ground, occupied space, and placement of things."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import Mesh, sheet
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Material, Motion, Role, Scene, Station, Vector
from metric_depth_synthetic.scenes.prefab import Parts, Prefab, chosen_cells, posed
from metric_depth_synthetic.scenes.street.ground import (
    Band,
    Land,
    marks,
    ribbon,
    skyline,
    terrain,
)
from metric_depth_synthetic.scenes.street.things import Furniture
from metric_depth_synthetic.scenes.street.vegetation import Flora
from metric_depth_synthetic.scenes.street.vehicles import Fleet

CAMERAS_M = 12.0  # cameras stand within this of s = 0
_HALF_M = 42.0  # of the strip of ground that follows the road


@dataclass(frozen=True)
class Kind:
    """Kind of a street; pairs are lower and upper bounds.

    Attributes:
        share: relative frequency.
        lanes: in each direction; 0 is one track for all.
        lane_m, walk_m, verge_m, setback_m: widths of a lane, sidewalk and verge; from there to the buildings.
        parking: probability of a lane of parked cars on a side, and its occupancy.
        sides: probabilities of the borders of the road: town, house, block, wood, field, wall.
        traffic, people, trees: vehicles, people and trees per 100 m.
        queues: probability that the traffic stands or moves slowly in queues.
        bend, slope: largest curvature in 1/m and steepness.
        surface: material of the road.
        marked: probability of lane marks.
        speed: of the traffic, m/s.
    """

    share: float
    lanes: tuple[int, int] = (1, 1)
    lane_m: tuple[float, float] = (2.8, 3.6)
    walk_m: tuple[float, float] = (1.5, 3.5)
    verge_m: tuple[float, float] = (0.0, 0.0)
    setback_m: tuple[float, float] = (0.0, 1.0)
    parking: tuple[float, float] = (0.5, 0.7)
    sides: tuple[tuple[str, float], ...] = (("town", 1.0),)
    traffic: float = 4.0
    queues: float = 0.1
    people: float = 4.0
    trees: float = 3.0
    bend: float = 0.002
    slope: float = 0.02
    surface: Role = "asphalt"
    marked: float = 0.8
    speed: tuple[float, float] = (4.0, 14.0)
    overhead: float = 0.15


class Place:
    """Street scene to be filled; (s, t) are metres along the road and to its left."""

    def __init__(self, scene: Scene, rng: np.random.Generator, palette: Palette, kind: Kind) -> None:
        """Draws the road and lays its ground."""
        self.scene, self.rng, self.palette, self.kind = scene, rng, palette, kind
        self.flora, self.furniture, self.fleet = (
            Flora(rng, palette),
            Furniture(rng, palette),
            Fleet(rng, palette),
        )
        straight = self.chance(0.4)
        self.land = Land(
            rng,
            bend=0.0 if straight else self.u(0.2, 1) * kind.bend,
            slope=self.u(0, 1) ** 2 * 2 * kind.slope,
        )
        self.lanes = int(rng.integers(kind.lanes[0], kind.lanes[1] + 1))
        self.lane = self.u(*kind.lane_m)
        self.right_hand = self.chance(0.8)
        self.parked = tuple(self.chance(kind.parking[0]) for _ in range(2))
        self.median = self.u(1.5, 6) if self.lanes > 1 and self.chance(0.5) else 0.0
        driven = self.lane * max(self.lanes, 0.75) + self.median / 2
        self.edge = tuple(driven + 2.1 * p for p in self.parked)  # where the kerb is: right side, left side
        self.driven = driven
        self.kerb = self.u(0.08, 0.16) if kind.walk_m[1] > 0 else 0.0
        self.walk = tuple(self.u(*kind.walk_m) if self.chance(0.95) else 0.0 for _ in range(2))
        self.verge = tuple(self.u(*kind.verge_m) for _ in range(2))
        self.green = tuple(self.chance(0.25 if kind.sides[0][0] == "town" else 0.85) for _ in range(2))
        crossing = kind.walk_m[1] > 0 and self.chance(0.45) and self.land_is_straight
        self.crossing = (self.u(8, 70), self.u(5.5, 9)) if crossing else None
        self._taken: list[tuple[float, float, float]] = []
        self._lay_ground()

    @property
    def land_is_straight(self) -> bool:
        """Whether a side road may leave at a right angle."""
        h = self.land.heading(np.array([0.0, 80.0]))
        return bool(np.ptp(h) < 0.08)

    def u(self, low: float, high: float) -> float:
        """Uniform random number between two."""
        return low + (high - low) * float(self.rng.random())

    def chance(self, part: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < part)

    def side(self, sign: int) -> int:
        """0 for the right (t < 0), 1 for the left."""
        return 0 if sign < 0 else 1

    def outer(self, sign: int) -> float:
        """|t| where sidewalk and verge end."""
        i = self.side(sign)
        return self.edge[i] + 0.16 + self.walk[i] + self.verge[i]

    def lift(self, t: float) -> float:
        """Height of the surface above the land at t."""
        i = self.side(1 if t > 0 else -1)
        return self.kerb if abs(t) > self.edge[i] + 0.03 else 0.0

    def detail(self, s: float, t: float) -> int:
        """Level of detail: 2 near the cameras, 1 at middle distance, 0 where small parts are not visible."""
        away = np.hypot(max(abs(s) - CAMERAS_M, 0), t)
        return 2 if away < 10 else 1 if away < 24 else 0

    def far(self, s: float, t: float) -> bool:
        """Whether a place is so far that small parts are not visible."""
        return self.detail(s, t) == 0

    def plant(self, made: tuple[Parts, Prefab], s: float, t: float, scale: float) -> None:
        """Plants a tree or bush, if there is space for its part below head height."""
        if self.claim(s, t, max(0.4, Flora.reach(made[1]) * scale)):
            self.put("vegetation", made, s, t, yaw_deg=self.u(0, 360), scale=scale)

    def free(self, s: float, t: float, radius: float) -> bool:
        """Whether the circle is unoccupied; side roads are not free."""
        if self.crossing and abs(s - self.crossing[0]) < self.crossing[1] + radius and abs(t) > self.driven:
            return False
        return all((a - s) ** 2 + (b - t) ** 2 >= (r + radius) ** 2 for a, b, r in self._taken)

    def gap(self, s: float, width: float) -> float:
        """Distance to advance until s to s + width is clear of the side road; 0 if it is clear already."""
        if self.crossing is None:
            return 0.0
        at, half = self.crossing
        return at + half - s if s + width > at - half and s < at + half else 0.0

    def claim(self, s: float, t: float, radius: float) -> bool:
        """Occupies the circle if it is free; returns whether it was."""
        if not self.free(s, t, radius):
            return False
        self.take(s, t, radius)
        return True

    def take(self, s: float, t: float, radius: float) -> None:
        """Occupies the circle, free or not."""
        self._taken.append((s, t, radius))

    def put(
        self,
        label: str,
        made: tuple[Parts, Prefab],
        s: float,
        t: float,
        *,
        yaw_deg: float = 0.0,
        scale: float | tuple[float, float, float] = 1.0,
        lift: float | None = None,
        tilted: bool = False,
        speed: float = 0.0,
    ) -> None:
        """Places a prefab at (s, t), rotated from the road's direction; ``tilted`` follows the slope."""
        x, y = (float(v) for v in self.land.xy(s, t))
        yaw = float(np.degrees(self.land.heading(s))) + yaw_deg
        z = float(self.land.z(x, y)) + (self.lift(t) if lift is None else lift)
        pitch = roll = 0.0
        if tilted:
            gx, gy = self.land.tilt(x, y)
            c, n = np.cos(np.radians(yaw)), np.sin(np.radians(yaw))
            pitch, roll = (
                -float(np.degrees(np.arctan(gx * c + gy * n))),
                float(np.degrees(np.arctan(gy * c - gx * n))),
            )
        T = posed((x, y, z), yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll, scale=scale)
        motion = None
        if speed:
            way = np.radians(yaw)
            motion = Motion((float(speed * np.cos(way)), float(speed * np.sin(way)), 0.0))
        self.scene.add(label, made[0], T, motion)

    def put_thing(self, name: str, s: float, t: float, *, yaw_deg: float = 0.0, scale: float = 1.0) -> None:
        """Places a piece of street furniture; before rotation its face is to -s and its arm to +t."""
        label, prefab, materials = self.furniture.make(name)
        self.put(label, (prefab.dressed(materials), prefab), s, t, yaw_deg=yaw_deg, scale=scale)

    def add(self, label: str, mesh: Mesh, material: Material) -> None:
        """Adds a mesh made in the world's frame."""
        self.scene.add(label, [(mesh, material)])

    def look(
        self,
        s: float,
        t: float,
        height: float,
        yaw_deg: float,
        *,
        yaw: float,
        pitch: tuple[float, float],
        weight: float,
        roll: float = 1.5,
        spread: float = 0.3,
    ) -> None:
        """Adds a station ``height`` above the surface at (s, t), ``yaw_deg`` +- ``yaw`` from the road."""
        x, y = (float(v) for v in self.land.xy(s, t))
        z = float(self.land.z(x, y)) + self.lift(t) + height
        way = self.land.heading(s) + np.radians(yaw_deg)
        far = 20.0
        ahead = np.array([x + far * np.cos(way), y + far * np.sin(way)])
        level = z + self._rise(s, t, way) * far
        reach = far * np.tan(np.radians(yaw))
        low: Vector = (x - spread, y - spread, z - 0.05)
        high: Vector = (x + spread, y + spread, z + 0.05)
        lift = far * np.tan(np.radians(pitch))
        self.scene.stations.append(
            Station(
                low,
                high,
                (float(ahead[0] - reach), float(ahead[1] - reach), float(level + lift[0])),
                (float(ahead[0] + reach), float(ahead[1] + reach), float(level + lift[1])),
                roll,
                weight,
            )
        )
        self.take(s, t, 1.2)

    def _rise(self, s: float, t: float, way: FloatArray) -> float:
        x, y = (float(v) for v in self.land.xy(s, t))
        gx, gy = self.land.tilt(x, y)
        return float(gx * np.cos(way) + gy * np.sin(way))

    def _bands(self) -> tuple[tuple[float, float], list[Band]]:
        """Cross-section of the road from the far right to the far left."""
        right, left = (list(self._half_bands(i)) for i in (0, 1))
        bands = []
        for k in range(len(right) - 1, -1, -1):
            inner = -right[k - 1].to if k else 0.0
            lift = right[k - 1].lift if k else 0.0
            bands.append(Band(right[k].name, inner, lift, right[k].steps))
        return (-right[-1].to, right[-1].lift), [*bands, *left]

    def _half_bands(self, i: int) -> list[Band]:
        edge, kerb = self.edge[i], self.kerb
        bands = [Band("road", edge, 0.0, max(2, round(edge / 2)))]
        outside = "green" if self.green[i] else "ground"
        if kerb:
            bands += [Band("kerb", edge + 0.015, kerb), Band("kerb", edge + 0.16, kerb)]
        if self.walk[i]:
            bands.append(Band("walk", edge + 0.16 + self.walk[i], kerb))
        start = edge + 0.16 + self.walk[i]
        bands += [
            Band(outside, start + 12, kerb, 3),
            Band(outside, max(_HALF_M - 4, start + 14), kerb, 4),
            Band(outside, max(_HALF_M, start + 18), -1.6, 1),
        ]
        return bands

    def _lay_ground(self) -> None:
        draw = self.palette.draw
        materials = {
            "road": draw(self.kind.surface),
            "kerb": draw("concrete"),
            "walk": draw("concrete") if self.chance(0.6) else draw("floor"),
            "green": draw("grass"),
            "ground": draw("concrete") if self.chance(0.5) else draw("ground"),
        }
        labels = {"road": "road", "kerb": "road", "walk": "ground", "green": "ground", "ground": "ground"}
        first, last = self.land.reach
        s = np.concatenate(
            [np.arange(first, -20, 8), np.arange(-20, 70, 3), np.arange(70, 130, 6), np.arange(130, last, 15)]
        )
        start, bands = self._bands()
        pieces = [s]
        if self.crossing:
            at, half = self.crossing
            pieces = [
                np.append(s[s < at - half - 0.5], at - half),
                np.append(at + half, s[s > at + half + 0.5]),
            ]
            self._lay_crossing(materials, at, half)
        meshes: dict[str, list[Mesh]] = {}
        for piece in pieces:
            for name, mesh in ribbon(self.land, piece, start, bands).items():
                meshes.setdefault(name, []).append(mesh)
        for name, found in meshes.items():
            self.scene.add(labels[name], [(m, materials[name]) for m in found])
        far = materials["green"] if self.kind.sides[0][0] != "town" else materials["ground"]
        self.add("ground", terrain(self.land, max(_HALF_M, self.outer(1) + 17, self.outer(-1) + 17)), far)
        self._skylines()

    def _lay_crossing(self, materials: dict[str, Material], at: float, half: float) -> None:
        """Adds the side roads of a crossing, between the ends of the main road's sidewalks."""
        road = half - self.u(1.2, 2.5)
        for sign in (1, -1):
            edge = self.edge[self.side(sign)]
            t = np.concatenate([[edge, edge + 0.05], np.arange(edge + 3, _HALF_M - 4, 4), [_HALF_M + 4]])
            ramp = np.minimum((t - edge) / 0.05, 1)[:, None]
            lines = np.array(
                [
                    -half,
                    -road - 0.16,
                    -road - 0.015,
                    -road,
                    -road / 2,
                    0,
                    road / 2,
                    road,
                    road + 0.015,
                    road + 0.16,
                    half,
                ]
            )
            lift = self.kerb * (np.abs(lines) > road + 0.001)
            grid_t, grid_s = np.broadcast_arrays(sign * t[:, None], at + lines)
            points = self.land.points(grid_s, grid_t, lift * ramp)
            surface = sheet(points if sign > 0 else points[:, ::-1])
            middle = np.abs((lines[:-1] + lines[1:]) / 2)
            middle = middle if sign > 0 else middle[::-1]
            for name, cells in (
                ("road", middle < road),
                ("kerb", (middle > road) & (middle < road + 0.16)),
                ("walk", middle > road + 0.16),
            ):
                chosen = chosen_cells(surface, np.broadcast_to(cells, (len(t) - 1, len(lines) - 1)))
                self.add("road" if name != "walk" else "ground", chosen, materials[name])
        inner = np.array([-self.edge[0], 0, self.edge[1]])
        grid_s, grid_t = np.broadcast_arrays(np.array([at - half, at, at + half])[:, None], inner[::-1])
        self.add("road", sheet(self.land.points(grid_s, grid_t)), materials["road"])

    def _skylines(self) -> None:
        draw = self.palette.draw
        first = self.kind.sides[0][0]
        town = first in ("town", "block")
        self.add(
            "building" if town else "vegetation",
            skyline(
                self.rng,
                self.land,
                self.u(180, 300),
                self.u(5, 22) if town else self.u(4, 12),
                0.08,
                steps=town,
            ),
            draw("facade") if town else draw("foliage"),
        )
        if self.chance(0.6):
            self.add(
                "vegetation",
                skyline(self.rng, self.land, self.u(450, 900), self.u(15, 90), 0.03),
                draw("foliage"),
            )

    def paint(
        self, s: FloatArray, t: FloatArray, length: FloatArray | float, width: FloatArray | float
    ) -> None:
        """White bars on the road."""
        mesh = marks(self.land, s, t, np.asarray(length), np.asarray(width), 0.012)
        white = self.u(0.5, 0.85)
        self.add("road", mesh, self.palette.draw("paint", colour=(white, white, white * self.u(0.9, 1))))
