"""A hand or a robot's gripper that reaches into a tabletop scene."""

from __future__ import annotations

import numpy as np

from metric_depth_ros.types import FloatArray
from metric_depth_synthetic.mesh import ellipsoid, tube
from metric_depth_synthetic.palette import Palette
from metric_depth_synthetic.scene import Scene
from metric_depth_synthetic.scenes.prefab import Builder, posed
from metric_depth_synthetic.scenes.tabletop.pile import Pile


def enter(scene: Scene, rng: np.random.Generator, palette: Palette, pile: Pile) -> None:
    """Adds an arm that reaches over the edge, with its fingers above the things."""
    angle = float(rng.uniform(0, 2 * np.pi))
    tip = np.array(
        [*rng.uniform(-0.6, 0.6, 2) * pile.reach, pile.height + pile.clearance() + rng.uniform(0.01, 0.06)]
    )
    out = np.array([np.cos(angle), np.sin(angle), 0.0])
    made = Builder()
    if rng.random() < 0.55:
        _human(made, tip, out, rng)
        parts = made.prefab().dressed({"skin": palette.draw("skin"), "sleeve": palette.draw("fabric")})
        scene.add("person", parts)
    else:
        _robot(made, tip, out, rng)
        white = float(rng.uniform(0.2, 0.8))
        parts = made.prefab().dressed(
            {
                "skin": palette.draw("plastic", colour=(white, white, white)),
                "sleeve": palette.draw("metal"),
                "dark": palette.draw("plastic", colour=(0.02, 0.02, 0.02)),
            }
        )
        scene.add("object", parts)


def _human(made: Builder, tip: FloatArray, out: FloatArray, rng: np.random.Generator) -> None:
    up, side = np.array([0, 0, 1.0]), np.array([-out[1], out[0], 0.0])
    wrist = tip + out * 0.16 + up * 0.05
    palm = (tip * 0.45 + wrist * 0.55) + up * 0.01
    yaw = float(np.degrees(np.arctan2(out[1], out[0])))
    made.add(
        "skin",
        ellipsoid(0.11, 0.085, 0.035, power=0.7, segments=12),
        posed(palm - up * 0.018, yaw_deg=yaw, pitch_deg=-18),
    )
    for k, spread in enumerate((-1.2, -0.4, 0.4, 1.2)):
        base = palm - out * 0.045 + side * spread * 0.02
        end = tip + side * spread * 0.017 + up * float(rng.uniform(0, 0.02)) + out * 0.012 * abs(spread)
        knuckle = (base + end) / 2 + up * float(rng.uniform(0.008, 0.025))
        made.add("skin", tube(np.stack([base, knuckle, end]), 0.0095 - 0.0008 * (k == 3), segments=7))
    thumb = palm + side * 0.045 + out * 0.01
    made.add(
        "skin",
        tube(
            np.stack(
                [
                    thumb,
                    thumb - out * 0.03 + side * 0.02 - up * 0.01,
                    thumb - out * 0.065 + side * 0.01 - up * 0.02,
                ]
            ),
            0.0105,
            segments=7,
        ),
    )
    elbow = wrist + out * 0.28 + up * float(rng.uniform(0.02, 0.2))
    made.add(
        "skin", tube(np.stack([palm + out * 0.03, wrist, wrist * 0.6 + elbow * 0.4]), 0.028, segments=10)
    )
    made.add(
        "sleeve",
        tube(np.stack([wrist * 0.7 + elbow * 0.3, elbow, elbow + out * 0.3 + up * 0.2]), 0.045, segments=10),
    )


def _robot(made: Builder, tip: FloatArray, out: FloatArray, rng: np.random.Generator) -> None:
    opening = float(rng.uniform(0.01, 0.045))
    yaw = float(rng.uniform(0, 180))
    T = posed(tip, yaw_deg=yaw)
    for side in (1, -1):
        a, b = sorted((side * opening, side * (opening + 0.014)))
        finger = Builder()
        finger.slab("dark", (-0.011, a, 0), (0.011, b, 0.06))
        finger.slab("dark", (-0.015, a, 0.055), (0.015, b + 0.005 * side, 0.11))
        for slot, mesh in finger.prefab().meshes.items():
            made.add(slot, mesh, T)
    hand = Builder()
    hand.slab("skin", (-0.035, -0.1, 0.1), (0.035, 0.1, 0.17))
    hand.slab("sleeve", (-0.03, -0.07, 0.17), (0.03, 0.07, 0.2))
    for slot, mesh in hand.prefab().meshes.items():
        made.add(slot, mesh, T)
    flange = tip + np.array((0, 0, 0.18))
    wrist = flange + np.array((0, 0, 0.14))
    elbow = wrist + out * float(rng.uniform(0.3, 0.5)) + np.array([0, 0, float(rng.uniform(-0.02, 0.3))])
    base = elbow + out * 0.35 - np.array([0, 0, 0.2])
    made.add("skin", tube(np.stack([flange, wrist]), 0.045, segments=14))
    made.add("skin", tube(np.stack([wrist, elbow]), 0.05, segments=14))
    made.add("skin", tube(np.stack([elbow, base]), 0.06, segments=14))
    for joint, r in ((wrist, 0.06), (elbow, 0.075)):
        made.add("sleeve", ellipsoid(2 * r, 2 * r, 2 * r, segments=12), posed(joint - (0, 0, r)))
