"""Random scenes, and what can be said of them.

Shapes lie in the cells of a 3 x 3 layout, shaken inside their cells; no two shapes of a scene have
both colour and form in common. A caption names them in reading order, each with its place in the
picture, or each with its relation to the next: `left of` in the same row, `above` otherwise. Every
reference says exactly the same (it can be computed from any other), so references of different
descriptions never coincide.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tasks.captioning.corpus import Box, Caption, Phrase
from tasks.captioning.drawing import COLOURS, SHAPES, Scene, Thing

SIDE = 3  # cells along each side of the layout
LARGE, SMALL = 0.155, 0.095
RADIUS_SPREAD = 0.07
TURN = 0.12  # tangent of half the angle: 14 degrees at most
TINT = 0.08

#: How captions call the cells of the layout.
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
        """How the one mentioned first lies to the next one."""
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
