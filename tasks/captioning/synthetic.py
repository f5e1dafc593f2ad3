"""Random scenes, and what can be said of them.

Shapes lie in the cells of a 3 x 3 layout, shaken inside their cells; no two shapes of a scene have
both colour and form in common. A caption names them in reading order, each with its place in the
picture, or each with its relation to the next: `left of` in the same row, `above` otherwise. Every
reference says exactly the same (it can be computed from any other), so references of different
descriptions never coincide.

Shapes are drawn as signed distances to their outline, cut off over one pixel: that is their
anti-aliasing. Only operations that IEEE 754 fixes to the last bit are used on pixels (no sines, no
matrix products), so the same scene gives the same bytes everywhere.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np

from tasks.captioning.datasets import Box, Caption, Drawn, Phrase

# Raised when the same scene would give other pixels than before.
VERSION = 1

#: RGB from 0 to 1.
COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.12, 0.12),
    "green": (0.12, 0.62, 0.18),
    "blue": (0.15, 0.25, 0.85),
    "yellow": (0.92, 0.85, 0.12),
    "purple": (0.55, 0.15, 0.65),
    "orange": (0.95, 0.52, 0.08),
}
BACKGROUND = 0.5
STRIPE_PERIOD = 0.56  # of the radius: two and a half stripes a shape and more
STRIPE_DARKNESS = 0.35
CLUTTER_BLOCKS = 16  # blocks of clutter along each side
# Scenes drawn at once: few enough that the working set stays in the cache.
CHUNK = 64


@dataclass(frozen=True)
class Thing:
    """One shape. Lengths are relative to the picture's side.

    Attributes:
        x, y: centre.
        radius: of the circle that holds the shape.
        turn: tangent of half the angle it is turned by.
        tint: added to its colour, per channel.
    """

    shape: str
    colour: str
    striped: bool
    x: float
    y: float
    radius: float
    turn: float = 0.0
    tint: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        cosine, sine = _rotation(self.turn)
        corners = CORNERS[self.shape]
        if corners is None:  # round
            reach = [(-1.0, -1.0), (1.0, 1.0)]
        else:
            reach = [(u * cosine - v * sine, u * sine + v * cosine) for u, v in corners]
        across, down = zip(*reach, strict=True)
        return Box(
            left=max(0.0, self.x + self.radius * min(across)),
            top=max(0.0, self.y + self.radius * min(down)),
            right=min(1.0, self.x + self.radius * max(across)),
            bottom=min(1.0, self.y + self.radius * max(down)),
        )


@dataclass(frozen=True)
class Scene(Drawn):
    """Shapes that do not overlap, on a background.

    Attributes:
        noise: 0 for a plain background; up to 1 adds gradients, grey blocks and pixel noise.
        seed: draws the background.
    """

    things: tuple[Thing, ...]
    noise: float
    seed: int

    @property
    def key(self) -> str:
        # Not `astuple`, which copies everything it finds.
        things = [list(vars(thing).values()) for thing in self.things]
        return json.dumps((VERSION, things, self.noise, self.seed))

    @classmethod
    def draw(cls, pictures: Sequence[Drawn], size: int) -> np.ndarray:
        scenes = [picture for picture in pictures if isinstance(picture, Scene)]
        assert len(scenes) == len(pictures), "scenes are drawn with scenes"
        pixels = np.empty((len(scenes), size, size, 3), dtype=np.uint8)
        for start in range(0, len(scenes), CHUNK):
            pixels[start : start + CHUNK] = _draw(scenes[start : start + CHUNK], size)
        return pixels


def _draw(scenes: Sequence[Scene], size: int) -> np.ndarray:
    """N scenes to N,H,W,3 uint8."""
    layers = [_background(scene, size) for scene in scenes]
    canvas = np.stack([below for below, _ in layers])  # N,H,W,3
    for name, distance in SHAPES.items():
        placed = [
            (number, thing)
            for number, scene in enumerate(scenes)
            for thing in scene.things
            if thing.shape == name
        ]
        # A scene may hold a shape several times, but is painted by one at a time.
        while placed:
            turn = dict(reversed(placed))
            _paint(canvas, turn, distance)
            placed = [(number, thing) for number, thing in placed if turn[number] is not thing]
    canvas += np.stack([above for _, above in layers])
    return (np.clip(canvas, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _background(scene: Scene, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The canvas below the shapes, and the noise over everything: H,W,3 float32 each."""
    below = np.full((size, size, 3), BACKGROUND, dtype=np.float32)
    if not scene.noise:
        return below, np.zeros_like(below)
    rng = np.random.default_rng(scene.seed)
    noise = np.float32(scene.noise)
    ramp = (np.arange(size, dtype=np.float32) + 0.5) / np.float32(size) - np.float32(0.5)
    base, across, down = (rng.random((3, 3), dtype=np.float32) - np.float32(0.5)) * noise
    below += base * np.float32(0.3) + across * ramp[:, None] * np.float32(0.5)
    below += (down * np.float32(0.5)) * ramp[:, None, None]
    blocks = rng.random((CLUTTER_BLOCKS, CLUTTER_BLOCKS), dtype=np.float32)
    tones = (rng.random((CLUTTER_BLOCKS, CLUTTER_BLOCKS), dtype=np.float32) - np.float32(0.5)) * (
        blocks < np.float32(0.3) * noise
    )
    place = np.arange(size) * CLUTTER_BLOCKS // size
    below += tones[place][:, place, None] * np.float32(0.8)
    grain = rng.random((size, size, 3), dtype=np.float32) - np.float32(0.5)
    return below, grain * (np.float32(0.5) * noise)


def _paint(canvas: np.ndarray, things: dict[int, Thing], distance: Distance) -> None:
    """Paint one shape of the same kind into each of several scenes, in place."""
    size = canvas.shape[1]
    rows = np.fromiter(things, dtype=np.int64)
    x, y, radius, turn = np.array(
        [(thing.x, thing.y, thing.radius, thing.turn) for thing in things.values()]
    ).T[..., None, None]  # 4 of G,1,1
    colours = np.array([np.add(COLOURS[one.colour], one.tint) for one in things.values()])  # G,3
    striped = np.array([thing.striped for thing in things.values()])[:, None, None]  # G,1,1
    centres = (np.arange(size) + 0.5) / size
    cosine, sine = _rotation(turn)
    across, down = (centres - x) / radius, (centres[:, None] - y) / radius  # G,1,W and G,H,1
    u = across * cosine + down * sine  # G,H,W, in radii along the shape's own axes
    v = down * cosine - across * sine
    pixel = radius * size  # a radius in pixels
    cover = np.clip(0.5 - distance(u, v) * pixel, 0.0, 1.0)  # G,H,W
    phase = v / STRIPE_PERIOD
    wave = np.abs(phase - np.floor(phase) - 0.5) - 0.25  # -1/4..1/4 over half a period
    dark = striped * np.clip(0.5 + wave * (STRIPE_PERIOD * pixel), 0.0, 1.0)
    shade = 1.0 - (1.0 - STRIPE_DARKNESS) * dark
    paint = shade[..., None] * colours[:, None, None, :]  # G,H,W,3
    below = canvas[rows]
    canvas[rows] = below + (paint - below) * cover[..., None]


Number = TypeVar("Number", float, np.ndarray)


def _rotation(turn: Number) -> tuple[Number, Number]:
    """Cosine and sine of the angle with that half tangent."""
    square = turn * turn
    return (1.0 - square) / (1.0 + square), 2.0 * turn / (1.0 + square)


#: Signed distance in radii (negative inside) of points u,v in radii.
Distance = Callable[[np.ndarray, np.ndarray], np.ndarray]

# Cosines and sines of 72 and 36 degrees; tips of a five-pointed star, the first one up.
_C72, _S72 = 0.3090169943749474, 0.9510565162951535
_C36, _S36 = 0.8090169943749475, 0.5877852522924731
_TIPS = ((0.0, -1.0), (-_S72, -_C72), (_S72, -_C72), (-_S36, _C36), (_S36, _C36))
_SQUARE = 0.7  # half a side
_ARM = 0.3  # half the width of a cross's arm
_ARM_END = 0.95
_RING_MIDDLE, _RING_HALF = 1.55 / 2, (1.0 - 0.55) / 2  # between the radii 0.55 and 1
_HALF_ROOT_3 = 0.8660254037844386


def _cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across, down = np.abs(u), np.abs(v)
    longer, shorter = np.maximum(across, down), np.minimum(across, down)
    return np.maximum(longer - _ARM_END, shorter - _ARM)


def _star(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    # Its five lines run across the tips; inside are the points beyond at most one of them.
    lines = np.sort(np.stack([u * a + v * b for a, b in _TIPS]), axis=0)
    return lines[-2] - _C72


SHAPES: dict[str, Distance] = {
    "circle": lambda u, v: np.sqrt(u * u + v * v) - 1.0,
    "square": lambda u, v: np.maximum(np.abs(u), np.abs(v)) - _SQUARE,
    "triangle": lambda u, v: np.maximum(v, np.abs(u) * _HALF_ROOT_3 - v * 0.5) - 0.5,
    "star": _star,
    "cross": _cross,
    "ring": lambda u, v: np.abs(np.sqrt(u * u + v * v) - _RING_MIDDLE) - _RING_HALF,
}

#: Outermost points, in radii; None for round shapes.
CORNERS: dict[str, tuple[tuple[float, float], ...] | None] = {
    "circle": None,
    "ring": None,
    "square": tuple((u, v) for u in (-_SQUARE, _SQUARE) for v in (-_SQUARE, _SQUARE)),
    "triangle": ((0.0, -1.0), (-_HALF_ROOT_3, 0.5), (_HALF_ROOT_3, 0.5)),
    "star": _TIPS,
    "cross": tuple(
        point
        for end in (-_ARM_END, _ARM_END)
        for side in (-_ARM, _ARM)
        for point in ((end, side), (side, end))
    ),
}

SIDE = 3  # cells along each side of the layout
LARGE, SMALL = 0.155, 0.095
RADIUS_SPREAD = 0.07
TURN = 0.12  # tangent of half the angle: 14 degrees at most
TINT = 0.08

#: Names of the layout's cells in captions.
PLACES = (
    ("northwest", "north", "northeast"),
    ("west", "centre", "east"),
    ("southwest", "south", "southeast"),
)
#: Forms, those first that are told apart most easily where they are a few pixels large.
EASIEST = ("circle", "triangle", "cross", "ring", "square", "star")

Pair = tuple[str, str]  # colour, form
T = TypeVar("T")


@dataclass(frozen=True)
class Named:
    """A shape as captions speak of it, and the cell of the layout it lies in.

    Attributes:
        large: None where sizes are neither varied nor named.
    """

    large: bool | None
    striped: bool
    colour: str
    shape: str
    row: int
    column: int


@dataclass(frozen=True)
class Wording:
    """One way to put a description into words."""

    large: str = "large"
    small: str = "small"
    left: str = "left of"
    right: str = "right of"
    above: str = "above"
    below: str = "below"
    at: str = ""
    opening: str = ""
    backwards: bool = False

    def adjectives(self, named: Named) -> list[str]:
        size = [] if named.large is None else [self.large if named.large else self.small]
        return [*size, *(["striped"] if named.striped else []), named.colour]

    def relation(self, first: Named, second: Named) -> str:
        """The words for the position of the first shape relative to the second."""
        if first.row == second.row:
            return self.left if first.column < second.column else self.right
        return self.above if first.row < second.row else self.below

    def place(self, named: Named) -> str:
        return f"{self.at} {PLACES[named.row][named.column]}".strip()


#: The first is the plainest and shares most with the others; the first `references` are used.
WORDINGS = (
    Wording(),
    Wording(large="big", small="little", opening="there is"),
    Wording(left="to the left of", above="over", at="in the"),
    Wording(backwards=True),
    Wording(right="to the right of", below="under", at="at the", backwards=True),
)


def combinations(forms: int = len(EASIEST)) -> list[Pair]:
    """All pairs of colour and one of the `forms` easiest to tell apart; the first ones share
    neither."""
    colours = list(COLOURS)
    shapes = [shape for shape in SHAPES if shape in EASIEST[:forms]]
    return [
        (colour, shapes[(number + shift) % len(shapes)])
        for shift in range(len(shapes))
        for number, colour in enumerate(colours)
    ]


def random_description(
    random: Random, count: int, pairs: Sequence[Pair], *, sizes: bool, textures: bool
) -> tuple[Named, ...]:
    """`count` shapes in reading order, of different pairs."""
    cells = sorted(_some(random, range(SIDE * SIDE), count))
    return tuple(
        Named(
            large=random.random() < 0.5 if sizes else None,
            striped=random.random() < 0.5 and textures,
            colour=colour,
            shape=shape,
            row=cell // SIDE,
            column=cell % SIDE,
        )
        for cell, (colour, shape) in zip(cells, _some(random, pairs, count), strict=True)
    )


def place(random: Random, description: Sequence[Named], noise: float) -> Scene:
    """A scene of that description: places, sizes, angles and tints vary."""

    def spread(reach: float) -> float:
        return reach * (2.0 * random.random() - 1.0)

    things = []
    for named in description:
        radius = (SMALL if named.large is False else LARGE) * (1.0 + spread(RADIUS_SPREAD))
        room = 0.5 / SIDE - radius
        things.append(
            Thing(
                shape=named.shape,
                colour=named.colour,
                striped=named.striped,
                x=(named.column + 0.5) / SIDE + spread(room),
                y=(named.row + 0.5) / SIDE + spread(room),
                radius=radius,
                turn=spread(TURN),
                tint=(spread(TINT * noise), spread(TINT * noise), spread(TINT * noise)),
            )
        )
    return Scene(tuple(things), noise, int(random.random() * 2**32))


def _some(random: Random, things: Sequence[T], count: int) -> list[T]:
    """`count` different ones. Of all draws only `random()` is promised never to change."""
    left = list(things)
    return [left.pop(int(random.random() * len(left))) for _ in range(count)]


def captions(
    description: Sequence[Named], scene: Scene, references: int, *, places: bool = False
) -> tuple[Caption, ...]:
    """The different captions among the first `references` wordings; of a single shape there is
    less to say, so it has fewer.

    Args:
        places: whether each shape's place is named, and not its relation to the next.
    """
    boxes = [thing.box for thing in scene.things]
    different: dict[str, Caption] = {}
    for wording in WORDINGS[:references]:
        caption = _worded(description, boxes, wording, places)
        different.setdefault(caption.text, caption)
    return tuple(different.values())


def canonical(description: Sequence[Named], *, places: bool = False) -> str:
    """The text that stands for a description: its plainest caption."""
    return " ".join(itertools.chain.from_iterable(_parts(description, WORDINGS[0], places)))


def _worded(
    description: Sequence[Named], boxes: Sequence[Box], wording: Wording, places: bool
) -> Caption:
    order = -1 if wording.backwards else 1
    words: list[str] = []
    phrases: list[Phrase] = []
    following = iter(boxes[::order])
    for part in _parts(description[::order], wording, places):
        if part[0] == "a":
            phrases.append(Phrase(len(words), len(words) + len(part), (next(following),)))
        words += part
    return Caption(" ".join(words), tuple(phrases))


def _parts(description: Sequence[Named], wording: Wording, places: bool) -> Iterator[list[str]]:
    """Noun phrases and what is said of them, in the order of mention."""
    if wording.opening:
        yield wording.opening.split()
    for number, named in enumerate(description):
        if number and not places:
            yield wording.relation(description[number - 1], named).split()
        yield ["a", *wording.adjectives(named), named.shape]
        if places:
            yield wording.place(named).split()
