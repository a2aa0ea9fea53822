"""Roughly drawn X-ray pictures of other parts of a body, and pictures of other machines.

Each is made to have what tells it from a heart to the eye: bones where no heart is, air beside a limb, two
lungs in one picture, a spine between bowel gas. None is meant to be mistaken for a patient's.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from scipy import ndimage

from casgan_dicom.model.domain.canvas import Canvas, Picture, Place, cloud, grown, stretched
from casgan_dicom.model.domain.patterns import Draw, Rng


def _transmitted(rng: Rng, depth: Picture) -> Picture:
    """Light behind the depth, soft, grainy, in some window."""
    size = len(depth)
    depth = depth + rng.uniform(0.0, 0.06) * cloud(rng, size, 2.6)
    light = ndimage.gaussian_filter(np.exp(-depth), rng.uniform(0.3, 1.0) * size / 256)
    light = light + rng.uniform(0.0, 0.02) * rng.normal(size=depth.shape) * np.sqrt(light)
    return stretched(light, float(rng.uniform(0, 2)), float(rng.uniform(97, 100))) ** float(
        np.exp(rng.normal(0, 0.3))
    )


def _spine(rng: Rng, canvas: Canvas, column: float, width: float) -> Picture:
    """Vertebrae one above the other, slightly bent."""
    depth = np.zeros((canvas.size, canvas.size))
    height = width * float(rng.uniform(0.7, 0.95))
    tilt = float(rng.normal(0, 0.04))
    for row in np.arange(-0.1, 1.2, height * 1.15):
        at = column + tilt * row
        depth += 0.8 * (canvas.ellipsoid((at, row), (0.55 * width, 0.5 * height)) ** 0.5)
        depth += 0.5 * canvas.ellipsoid((at - 0.35 * width, row), (0.08 * width, 0.15 * height))
        depth += 0.5 * canvas.ellipsoid((at + 0.35 * width, row), (0.08 * width, 0.15 * height))
        depth += 0.4 * canvas.ellipsoid((at, row + 0.2 * height), (0.08 * width, 0.3 * height))
    return depth


def _gas(rng: Rng, canvas: Canvas, count: int) -> Picture:
    """Bubbles in bowels, which take away."""
    depth = np.zeros((canvas.size, canvas.size))
    for _ in range(count):
        place = (float(rng.random()), float(rng.random()))
        axes = (float(rng.uniform(0.02, 0.12)), float(rng.uniform(0.02, 0.07)))
        depth -= rng.uniform(0.1, 0.5) * canvas.ellipsoid(place, axes, float(rng.uniform(0, 180)))
    return depth


def _ducts(rng: Rng, canvas: Canvas, start: Place, heading: float, depth_left: int, radius: float) -> Picture:
    """A tree of wide, blunt ducts."""
    way = grown(rng, start, heading, float(rng.uniform(0.15, 0.35)), 7)
    depth = radius / 0.03 * canvas.tube(way, radius)
    if depth_left == 0:
        return depth
    for side in (-1, 1):
        turned = heading + side * float(rng.uniform(20, 50))
        depth = np.maximum(depth, _ducts(rng, canvas, way[-1], turned, depth_left - 1, 0.7 * radius))
    return depth


def cholangiogram(rng: Rng, size: int) -> Picture:
    """Bile ducts full of contrast, dark or bright, before a spine and bowel gas; often with an endoscope."""
    canvas = Canvas(size)
    depth = 1.0 + 0.4 * canvas.ellipsoid((float(rng.uniform(0.2, 0.8)), 0.4), (0.7, 0.6))
    depth += rng.uniform(0.3, 1.0) * _spine(
        rng, canvas, float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.16, 0.3))
    )
    depth += _gas(rng, canvas, int(rng.integers(0, 10)))
    start = (float(rng.uniform(0.35, 0.65)), float(rng.uniform(0.6, 0.95)))
    agent = _ducts(
        rng,
        canvas,
        start,
        float(rng.uniform(-120, -60)),
        int(rng.integers(2, 4)),
        float(rng.uniform(0.012, 0.03)),
    )
    if rng.random() < 0.5:
        place = (start[0] - 0.15, start[1] - 0.1)
        agent = np.maximum(agent, canvas.ellipsoid(place, (0.08, 0.14), float(rng.uniform(-40, 40))))
    depth += rng.uniform(0.3, 1.2) * agent
    if rng.random() < 0.6:
        scope = grown(rng, (float(rng.uniform(0.2, 0.8)), -0.05), 80, 0.9, 12)
        depth += 1.5 * canvas.bone(scope, float(rng.uniform(0.02, 0.04)))
    if rng.random() < 0.5:
        for row in np.linspace(0.05, 0.5, int(rng.integers(2, 5))):
            depth += 0.3 * canvas.bone([(0.0, row), (0.3, row + 0.1), (0.6, row + 0.05)], 0.015)
    light = _transmitted(rng, depth)
    return light if rng.random() < 0.6 else 1 - light


def abdomen(rng: Rng, size: int) -> Picture:
    """Spine, gas, kidneys with or without contrast, the crest of a hip."""
    canvas = Canvas(size)
    depth = 1.2 * canvas.ellipsoid((0.5, 0.5), (float(rng.uniform(0.5, 0.9)), 0.9)) ** 0.7
    depth += rng.uniform(0.4, 1.0) * _spine(
        rng, canvas, float(rng.uniform(0.4, 0.6)), float(rng.uniform(0.12, 0.22))
    )
    depth += _gas(rng, canvas, int(rng.integers(5, 25)))
    for side in (-1, 1):
        depth += rng.uniform(0, 0.6) * canvas.ellipsoid((0.5 + side * 0.22, 0.4), (0.06, 0.12), side * 15)
        hip = [(0.5 + side * 0.12, 1.0), (0.5 + side * 0.3, 0.78), (0.5 + side * 0.45, 0.9)]
        depth += rng.uniform(0, 0.9) * canvas.bone(hip, 0.05)
    return _transmitted(rng, depth)


def frontal_chest(rng: Rng, size: int) -> Picture:
    """A whole chest: two lungs, both rows of ribs, collar bones, heart, and air beside the shoulders."""
    canvas = Canvas(size)
    body = canvas.ellipsoid((0.5, 0.62), (float(rng.uniform(0.44, 0.6)), 0.75)) ** 0.5
    depth = 1.6 * body
    for side in (-1, 1):
        lung = canvas.ellipsoid((0.5 + side * 0.22, 0.45), (0.16, float(rng.uniform(0.3, 0.4))), -side * 6)
        depth -= rng.uniform(0.7, 1.0) * lung**0.6
        for k in range(9):
            row = 0.12 + 0.075 * k
            back = [(0.5 + side * 0.05, row), (0.5 + side * 0.3, row + 0.03), (0.5 + side * 0.4, row + 0.14)]
            front = [(0.5 + side * 0.4, row + 0.14), (0.5 + side * 0.25, row + 0.24)]
            depth += 0.2 * canvas.bone(back, 0.013) + 0.12 * canvas.bone(front, 0.012)
        collar = [(0.5 + side * 0.04, 0.14), (0.5 + side * 0.2, 0.1), (0.5 + side * 0.4, 0.08)]
        depth += 0.35 * canvas.bone(collar, 0.016)
        depth += 0.5 * canvas.ellipsoid((0.5 + side * 0.44, 0.16), (0.07, 0.07))
    heart = float(rng.uniform(0.12, 0.18))
    depth += 0.9 * canvas.ellipsoid((0.54, 0.6), (heart, 0.16), 30) + 0.35 * _spine(rng, canvas, 0.5, 0.07)
    depth += 0.9 * canvas.ellipsoid((0.5, 1.05), (0.5, float(rng.uniform(0.25, 0.32))))
    return _transmitted(rng, depth)


def shoulder(rng: Rng, size: int) -> Picture:
    """The head of an upper arm in its socket, the collar bone above, some ribs, and air."""
    canvas = Canvas(size)
    side = 1 if rng.random() < 0.5 else -1
    joint = (0.5 + side * float(rng.uniform(-0.05, 0.15)), float(rng.uniform(0.35, 0.5)))
    depth = 1.1 * canvas.ellipsoid((0.5 - side * 0.3, 0.9), (0.75, 0.75)) ** 0.6
    depth += 0.6 * canvas.ellipsoid(joint, (0.3, 0.3)) ** 0.7
    head = float(rng.uniform(0.1, 0.16))
    depth += 0.9 * canvas.ellipsoid(joint, (head, head)) ** 0.6
    arm = [joint, (joint[0] + side * float(rng.uniform(0.05, 0.3)), 1.1)]
    depth += 0.8 * canvas.bone(arm, 0.5 * head)
    depth += 0.5 * canvas.bone(
        [(joint[0] - side * 0.13, joint[1] - 0.1), (joint[0] - side * 0.15, joint[1] + 0.14)], 0.04
    )
    collar = [
        (0.5 - side * 0.5, joint[1] - 0.1),
        (joint[0] - side * 0.1, joint[1] - 0.2),
        (joint[0], joint[1] - 0.17),
    ]
    depth += 0.5 * canvas.bone(collar, 0.035)
    blade = [(joint[0] - side * 0.15, joint[1] + 0.1), (joint[0] - side * 0.3, 0.9)]
    depth += 0.4 * canvas.bone(blade, 0.03)
    for row in np.arange(joint[1], 1.1, 0.12):
        depth += 0.25 * canvas.bone([(0.5 - side * 0.6, row), (joint[0] - side * 0.28, row + 0.1)], 0.022)
    return _transmitted(rng, depth)


def limb(rng: Rng, size: int) -> Picture:
    """One or two long bones with a joint, in soft tissue, air on both sides; some with filled arteries."""
    canvas = Canvas(size)
    turn = float(rng.uniform(-25, 25))

    def along(t: float, off: float) -> Place:
        a = np.deg2rad(turn)
        return 0.5 + float(off * np.cos(a) - (t - 0.5) * np.sin(a)), 0.5 + float(
            (t - 0.5) * np.cos(a) + off * np.sin(a)
        )

    width = float(rng.uniform(0.2, 0.45))
    depth = 0.9 * canvas.tube([along(-0.3, 0), along(1.3, 0)], width)
    joint, radius = float(rng.uniform(0.3, 0.7)), width * float(rng.uniform(0.2, 0.35))
    offsets = [0.0] if rng.random() < 0.5 else [-0.4 * width, 0.4 * width]
    depth += 0.9 * canvas.bone([along(-0.3, 0), along(joint - 0.03, 0)], radius)
    for off in offsets:
        depth += 0.9 * canvas.bone([along(joint + 0.03, off), along(1.3, off)], radius / len(offsets) ** 0.5)
    depth += 0.5 * canvas.ellipsoid(along(joint - 0.05, 0), (1.5 * radius, 1.2 * radius), turn)
    depth += 0.5 * canvas.ellipsoid(along(joint + 0.07, 0), (1.5 * radius, radius), turn)
    if rng.random() < 0.4:
        for off in rng.uniform(-0.6, 0.6, 3):
            depth += 0.6 * canvas.tube(
                grown(rng, along(-0.05, off * width), 90 + turn, 1.2, 4), float(rng.uniform(0.005, 0.015))
            )
    return _transmitted(rng, depth)


def hand(rng: Rng, size: int) -> Picture:
    """Five rays of short bones."""
    canvas = Canvas(size)
    wrist = (0.5, 0.85)
    depth = 0.6 * canvas.ellipsoid((0.5, 0.68), (0.2, 0.22))
    for k, turn in enumerate((-45, -18, -4, 10, 24)):
        a = np.deg2rad(turn + float(rng.normal(0, 3)))
        joints = np.array([0.1, 0.32, 0.47, 0.58, 0.66]) * (0.8 if k in (0, 4) else 1.0)
        at = [(wrist[0] + float(t * np.sin(a)), wrist[1] - float(t * np.cos(a))) for t in joints]
        depth += 0.5 * canvas.tube([at[0], at[-1]], 0.035)
        for begin, end in pairwise(at):
            gap = ((end[0] - begin[0]) * 0.1, (end[1] - begin[1]) * 0.1)
            bone = [(begin[0] + gap[0], begin[1] + gap[1]), (end[0] - gap[0], end[1] - gap[1])]
            depth += 0.6 * canvas.bone(bone, 0.016)
    for off in (-0.04, 0.04):
        depth += 0.5 * canvas.bone([(0.5 + off, 0.9), (0.5 + 1.4 * off, 1.2)], 0.03)
    return _transmitted(rng, depth)


def skull(rng: Rng, size: int) -> Picture:
    """A vault with a dense rim, orbits, and in half of them arteries full of contrast that wind."""
    canvas = Canvas(size)
    centre, axes = (
        (0.5 + float(rng.normal(0, 0.06)), 0.48),
        (float(rng.uniform(0.36, 0.6)), float(rng.uniform(0.38, 0.6))),
    )
    outer = canvas.ellipsoid(centre, axes)
    inner = canvas.ellipsoid(centre, (0.93 * axes[0], 0.93 * axes[1]))
    depth = 0.8 * outer + 1.6 * (outer - 0.93 * inner)
    for _ in range(int(rng.integers(1, 4))):
        base = [
            (float(rng.uniform(0.1, 0.9)), 0.7),
            (float(rng.uniform(0.1, 0.9)), float(rng.uniform(0.6, 0.95))),
        ]
        depth += rng.uniform(0.3, 0.8) * canvas.bone(base, float(rng.uniform(0.03, 0.08)))
    for side in (-1, 1):
        depth -= 0.3 * canvas.ellipsoid((0.5 + side * 0.15, 0.62), (0.09, 0.08))
    if rng.random() < 0.6:
        trunk = grown(rng, (float(rng.uniform(0.35, 0.65)), 1.05), -90, 0.55, 25)
        agent = canvas.tube(trunk, 0.014)
        for _ in range(int(rng.integers(4, 12))):
            start = trunk[int(rng.integers(6, len(trunk)))]
            agent = np.maximum(
                agent,
                0.7
                * canvas.tube(
                    grown(rng, start, float(rng.uniform(-170, -10)), 0.45, 22),
                    float(rng.uniform(0.003, 0.009)),
                ),
            )
        depth += rng.uniform(0.4, 1.2) * agent
        if rng.random() < 0.4:  # subtracted
            depth = 0.6 * agent + 0.03 * cloud(rng, size, 2)
    return _transmitted(rng, depth)


def pelvis(rng: Rng, size: int) -> Picture:
    """Wings, sacrum, heads of the thighs; the arteries filled in some."""
    canvas = Canvas(size)
    depth = 1.0 * canvas.ellipsoid((0.5, 0.5), (0.75, 0.85)) ** 0.6 + 0.6 * _spine(rng, canvas, 0.5, 0.14)
    for side in (-1, 1):
        wing = [
            (0.5 + side * 0.1, 0.3),
            (0.5 + side * 0.35, 0.15),
            (0.5 + side * 0.42, 0.35),
            (0.5 + side * 0.28, 0.55),
        ]
        depth += 0.5 * canvas.bone(wing, 0.05)
        depth += 0.7 * canvas.ellipsoid((0.5 + side * 0.3, 0.65), (0.08, 0.08)) ** 0.6
        depth += 0.6 * canvas.bone(
            [(0.5 + side * 0.3, 0.68), (0.5 + side * 0.4, 0.75), (0.5 + side * 0.38, 1.1)], 0.05
        )
        depth += 0.4 * canvas.bone(
            [(0.5 + side * 0.25, 0.68), (0.5 + side * 0.03, 0.78), (0.5 + side * 0.15, 0.92)], 0.03
        )
        if rng.random() < 0.5:
            depth += 0.8 * canvas.tube(grown(rng, (0.5, 0.1), 90 - side * 25, 1.0, 6), 0.015)
    return _transmitted(rng, depth)


def section(rng: Rng, size: int) -> Picture:
    """A slice of a body as CT or MR shows it: air black, bone white, a body's outline."""
    canvas = Canvas(size)
    axes = (float(rng.uniform(0.3, 0.48)), float(rng.uniform(0.22, 0.4)))
    body = canvas.ellipsoid((0.5, 0.5), axes) > 0
    picture = np.where(body, 0.5 + 0.04 * cloud(rng, size, 1.5), 0.0)
    for side in (-1, 1):
        hollow = canvas.ellipsoid((0.5 + side * 0.45 * axes[0], 0.48), (0.35 * axes[0], 0.6 * axes[1])) > 0
        picture = np.where(hollow & (rng.random() < 0.6), 0.05 + 0.02 * cloud(rng, size, 2), picture)
    for _ in range(int(rng.integers(3, 12))):
        place = (0.5 + float(rng.uniform(-0.7, 0.7)) * axes[0], 0.5 + float(rng.uniform(-0.7, 0.7)) * axes[1])
        part = canvas.ellipsoid(place, (float(rng.uniform(0.01, 0.1)), float(rng.uniform(0.01, 0.08)))) > 0
        picture = np.where(part & body, rng.uniform(0.4, 1.0), picture)
    spine = canvas.ellipsoid((0.5, 0.5 + 0.7 * axes[1]), (0.06, 0.05)) > 0
    picture = np.where(spine, 0.95, picture)
    if rng.random() < 0.7:
        column, row = canvas.places
        table = np.abs(row - (0.53 + axes[1] + 0.15 * (column - 0.5) ** 2)) < 0.006
        picture = np.where(table, 0.6, picture)
    picture = ndimage.gaussian_filter(picture, size / 256) + rng.uniform(0, 0.04) * rng.normal(
        size=picture.shape
    )
    return np.asarray(np.clip(picture, 0, 1))


def fan(rng: Rng, size: int) -> Picture:
    """An ultrasound sector with speckle, black around it."""
    column, row = Canvas(size).places
    across, down = column - 0.5, row - 0.03
    inside = (np.abs(np.arctan2(across, down)) < rng.uniform(0.5, 0.8)) & (np.hypot(across, down) < 0.93)
    speckle = np.abs(cloud(rng, size, 0.8)) * np.exp(0.5 * cloud(rng, size, 2.5))
    return np.where(inside, stretched(speckle, 0, 99), 0.0)


BODIES: dict[str, Draw] = {
    "cholangiogram": cholangiogram,
    "abdomen": abdomen,
    "frontal chest": frontal_chest,
    "shoulder": shoulder,
    "limb": limb,
    "hand": hand,
    "skull": skull,
    "pelvis": pelvis,
    "section": section,
    "fan": fan,
}
"""By name."""

RADIOGRAPHS = (
    *("cholangiogram", "abdomen", "frontal chest", "shoulder", "limb", "hand", "skull", "pelvis"),
    *("whole chest", "corner"),
)
"""Kinds that are shown with bones dark or bones bright."""
