"""Agreement of attention over a picture's grid with the boxes of phrases.

The unit judged is the phrase: the mean of the weights over its words, compared with the region its
boxes cover together. Weights are T,S over words and the cells of a grid in raster order; boxes are
relative, so they lie over any grid. Traces hold the weights with the regions of the phrases and a
small picture.

- mass in the box: each cell counts with the share of its area that is covered, so even weights
  get the region's share of the picture;
- pointing (Zhang et al. 2016): whether the centre of the cell with the largest weight lies in a
  box;
- alignment error rate: 1 - |A & P| / |A| with one link a phrase to that cell, possible where more
  than half of the cell is covered; of a region that covers no cell by half, the cell it covers
  most.
"""

from __future__ import annotations

import base64
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from bench.store.result import AlignmentFigures, Mode, Trace
from tasks.captioning.datasets import Box, Caption, Phrase, Picture
from tasks.evaluation.alignment import blocks, uniform_weights
from tasks.evaluation.decode import Read, Written

#: Rows and columns.
Grid = tuple[int, int]
#: Pixels along each side of a picture in a trace; a few kB.
THUMBNAIL = 64
#: Left out at the head of a phrase when phrases are looked for in free text.
DETERMINERS = frozenset(
    ("a", "an", "the", "this", "that", "these", "those", "his", "her", "its", "their", "some")
)


@dataclass(frozen=True)
class RegionAgreement:
    """Sums over phrases.

    Attributes:
        judged: phrases whose weights were compared.
        mass, pointed, linked: summed mass in the box, phrases whose largest weight lies in a box,
            and whose link is possible. Where several weights are equally the largest, each counts
            its share, so that even weights get what chance would get.
        expected: phrases that could have been judged.
    """

    judged: float = 0.0
    mass: float = 0.0
    pointed: float = 0.0
    linked: float = 0.0
    expected: float = 0.0

    def figures(self) -> AlignmentFigures:
        """Means over phrases. None where nothing was judged."""
        covered = min(1.0, self.judged / self.expected) if self.expected else None
        if not self.judged:
            return AlignmentFigures(coverage=covered)
        return AlignmentFigures(
            aer=1.0 - self.linked / self.judged,
            mass_on_gold=self.mass / self.judged,
            pointing_accuracy=self.pointed / self.judged,
            coverage=covered,
        )


@dataclass(frozen=True)
class PhraseCase:
    """The phrases of one caption, to be judged.

    Attributes:
        weights: P,S, of each phrase.
        regions: P, the boxes of each.
        expected: phrases that could have been judged.
    """

    weights: np.ndarray
    regions: Sequence[tuple[Box, ...]]
    expected: float

    @classmethod
    def of(cls, weights: np.ndarray, phrases: Sequence[Phrase], expected: float) -> PhraseCase:
        """Phrases judged by weights T,S over words."""
        used = [
            weights[phrase.start : phrase.end].mean(axis=0, dtype=np.float64) for phrase in phrases
        ]
        merged = np.stack(used) if used else np.zeros((0, weights.shape[1]))
        return cls(merged, [phrase.boxes for phrase in phrases], expected)


def forced_case(weights: np.ndarray, caption: Caption) -> PhraseCase:
    """How a reference was read.

    Args:
        weights: T,S over the words of the caption (`Caption.words`), or over the first T of them
            where reading was cut short.
    """
    phrases = [phrase for phrase in caption.phrases if phrase.end <= len(weights)]
    return PhraseCase.of(weights, phrases, len(caption.phrases))


def free_case(
    weights: np.ndarray, written: Sequence[str], references: Sequence[Caption]
) -> PhraseCase:
    """How a caption was written: its phrases that some reference has too.

    `expected` is the mean number of phrases of the references that have any.

    Args:
        weights: T,S over the T words written.
    """
    assert len(weights) == len(written), (weights.shape, written)
    counts = [len(caption.phrases) for caption in references if caption.phrases]
    expected = sum(counts) / len(counts) if counts else 0.0
    return PhraseCase.of(weights, matched_phrases(written, references), expected)


def agreement(cases: Iterable[PhraseCase], grid: Grid) -> RegionAgreement:
    """Compare the phrases of all captions with their regions."""
    rows = [row for block in blocks(cases) for row in _counts(block, grid)]
    return RegionAgreement(*np.sum(rows, axis=0).tolist()) if rows else RegionAgreement()


def _counts(cases: Sequence[PhraseCase], grid: Grid) -> Iterator[list[float]]:
    """The fields of `RegionAgreement` of every caption."""
    weights = np.concatenate([one.weights for one in cases])  # P,S of all captions
    assert weights.shape[1] == grid[0] * grid[1], (weights.shape, grid)
    regions = Regions.of([boxes for one in cases for boxes in one.regions], grid)
    figures = regions.figures(weights)
    place = 0
    for one in cases:
        part = slice(place, place := place + len(one.weights))
        once = np.ones(len(one.weights))
        yield [len(once), *(float(once @ figure[part]) for figure in figures), one.expected]


def matched_phrases(written: Sequence[str], references: Sequence[Caption]) -> list[Phrase]:
    """The phrases of the references that occur in a written caption, at their places there.

    All words must be equal but for determiners in front. Longer phrases come first and phrases do
    not overlap; where references give the same words different boxes, any of them is right.
    """
    known: dict[tuple[str, ...], dict[Box, None]] = {}
    for caption in references:
        words = caption.words
        for phrase in caption.phrases:
            named = words[phrase.start : phrase.end]
            while len(named) > 1 and named[0] in DETERMINERS:
                named = named[1:]
            known.setdefault(named, {}).update(dict.fromkeys(phrase.boxes))
    written, taken = tuple(written), [False] * len(written)
    found = []
    for named, boxes in sorted(known.items(), key=lambda item: (-len(item[0]), item[0])):
        for start in range(len(written) - len(named) + 1):
            end = start + len(named)
            if written[start:end] == named and not any(taken[start:end]):
                taken[start:end] = [True] * len(named)
                found.append(Phrase(start, end, tuple(boxes)))
    return sorted(found, key=lambda phrase: phrase.start)


def baseline_figures(
    references: Iterable[Sequence[Caption]], grid: Grid
) -> dict[str, AlignmentFigures]:
    """Figures of weights that know nothing, `uniform` and `centre` (all on the middle of the
    picture), over all phrases of all references of all pictures."""
    uniform = uniform_weights(1, grid[0] * grid[1])[0]
    # Captions of a picture name the same things: each region is worked out once.
    regions = Counter(
        phrase.boxes for group in references for caption in group for phrase in caption.phrases
    )
    truth = Regions.of(list(regions), grid)
    times = np.fromiter(regions.values(), dtype=np.float64)
    judged = float(times.sum())
    found = {}
    for name, row in {"uniform": uniform, "centre": centre_weights(grid)}.items():
        figures = truth.figures(np.tile(row, (len(times), 1)))
        mass, pointed, linked = (float(times @ figure) for figure in figures)
        found[name] = RegionAgreement(judged, mass, pointed, linked, judged).figures()
    return found


def centre_weights(grid: Grid) -> np.ndarray:
    """S weights on the cell in the middle, shared between two or four where there is none."""
    rows, columns = ((np.abs(np.arange(size) - (size - 1) / 2) < 1).astype(float) for size in grid)
    weights = np.outer(rows, columns)
    return (weights / weights.sum()).ravel()


@dataclass(frozen=True)
class Regions:
    """What P regions cover of a grid.

    Attributes:
        cover: P,S share of each cell's area.
        inside: P,S whether the centre of the cell is covered.
        possible: P,S whether a link to the cell is right.
    """

    cover: np.ndarray
    inside: np.ndarray
    possible: np.ndarray

    @classmethod
    def of(cls, regions: Sequence[tuple[Box, ...]], grid: Grid) -> Regions:
        if not regions:
            return cls(*np.zeros((3, 0, grid[0] * grid[1])))
        rows = zip(*(_region(boxes, grid) for boxes in regions), strict=True)
        return cls(*map(np.stack, rows))

    def figures(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """P each: mass in the region, and the share of the largest weights of P,S that lie in it
        and whose links are possible."""
        largest = weights == weights.max(axis=1, keepdims=True)
        share = largest / largest.sum(axis=1, keepdims=True)
        return (
            (weights * self.cover).sum(axis=1),
            (share * self.inside).sum(axis=1),
            (share * self.possible).sum(axis=1),
        )


# Captions of a picture name the same things, and a warm worker judges the same captions for many
# cells: some kB an entry on a fine grid.
@lru_cache(maxsize=2**13)
def _region(boxes: tuple[Box, ...], grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A row of each of the arrays of `Regions`."""
    cover = coverage(boxes, grid)
    y, x = ((np.arange(size) + 0.5) / size for size in grid)
    most = cover.max()
    return cover, _inside(y, x, boxes).ravel(), cover > 0.5 if most > 0.5 else cover == most


def coverage(boxes: Sequence[Box], grid: Grid) -> np.ndarray:
    """S: the share of each cell's area that the boxes cover together."""
    rows, columns = grid
    # Between neighbouring edges of boxes and cells, everything is covered or nothing is.
    down = _edges(rows, [edge for box in boxes for edge in (box.top, box.bottom)])
    across = _edges(columns, [edge for box in boxes for edge in (box.left, box.right)])
    y, x = (down[:-1] + down[1:]) / 2, (across[:-1] + across[1:]) / 2
    areas = _inside(y, x, boxes) * np.outer(np.diff(down), np.diff(across))  # Y,X
    row, column = (y * rows).astype(int), (x * columns).astype(int)
    place = row[:, None] * columns + column
    cells = np.bincount(place.ravel(), areas.ravel(), minlength=rows * columns)
    return np.clip(cells * (rows * columns), 0.0, 1.0)


def _edges(cells: int, edges: Sequence[float]) -> np.ndarray:
    return np.unique(np.concatenate([np.arange(cells + 1) / cells, edges]))


def _inside(y: np.ndarray, x: np.ndarray, boxes: Sequence[Box]) -> np.ndarray:
    """Y,X: whether each point lies in one of the boxes."""
    top, bottom, left, right = np.array(
        [(box.top, box.bottom, box.left, box.right) for box in boxes]
    ).T[:, :, None]  # 4 of K,1
    down, across = (y >= top) & (y < bottom), (x >= left) & (x < right)  # K,Y and K,X
    return (down[:, :, None] & across[:, None, :]).any(axis=0)


def traces(
    picture: Picture,
    pixels: np.ndarray,
    grid: Grid,
    subset: str,
    free: tuple[Sequence[str], Written],
    forced: tuple[Caption, Read],
) -> list[Trace]:
    """The free trace of a picture and the forced one.

    `extra` has the grid's shape, the phrases with their boxes (relative coordinates) and the
    picture as base64 of a JPEG file.

    Args:
        pixels: H,W,3 uint8.
        free: the words written, one a row of the weights, and how they were written.
        forced: the reference that was read, and how.
    """
    (words, written), (reference, read) = free, forced
    width, height = picture.original or (pixels.shape[1], pixels.shape[0])
    aspect = round(width / height, 4)
    shown = {"grid": list(grid), "picture": thumbnail(pixels), "aspect": aspect}
    known = any(caption.phrases for caption in picture.captions)

    def trace(
        mode: Mode, target: Sequence[str], seen: Written | Read, phrases: Sequence[Phrase]
    ) -> Trace:
        assert seen.weights is not None
        return Trace(
            example=picture.id,
            subset=subset,
            mode=mode,
            kind="grid",
            source=grid_labels(grid),
            target=tuple(target),
            weights=seen.weights,
            parts=seen.parts,
            gold=_cells(phrases, grid) if known else None,
            extra={**shown, "phrases": list(map(_described, phrases))},
        )

    found = matched_phrases(words, picture.captions)
    return [
        trace("free", words, written, found),
        trace("forced", reference.words, read, reference.phrases),
    ]


def grid_labels(grid: Grid) -> tuple[str, ...]:
    """Names of the cells in raster order: row and column, from 1."""
    return tuple(f"{r + 1}.{c + 1}" for r in range(grid[0]) for c in range(grid[1]))


def _described(phrase: Phrase) -> dict[str, object]:
    """A phrase as JSON data; each box from left over top and right to bottom."""
    boxes = [(box.left, box.top, box.right, box.bottom) for box in phrase.boxes]
    return {
        "start": phrase.start,
        "end": phrase.end,
        "boxes": [[round(edge, 4) for edge in box] for box in boxes],
    }


def thumbnail(pixels: np.ndarray) -> str:
    """H,W,3 uint8 as a small JPEG file in base64."""
    image = Image.fromarray(pixels)
    if max(image.size) > THUMBNAIL:
        image = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode("ascii")


def gold_weights(captions: Sequence[Caption], words: int, grid: Grid) -> np.ndarray:
    """The boxes of phrases as weights of B captions' words over the cells of a grid: B,T,S float32.

    The row of a phrase's word is uniform over the cells that a link to is possible (mostly covered
    by the phrase's boxes). Words of no phrase have rows of zeros.

    Args:
        words: T, rows for each caption, words and end; what goes beyond is left out.
    """
    weights = np.zeros((len(captions), words, grid[0] * grid[1]), dtype=np.float32)
    for rows, caption in zip(weights, captions, strict=True):
        regions = Regions.of([phrase.boxes for phrase in caption.phrases], grid)
        for phrase, possible in zip(caption.phrases, regions.possible, strict=True):
            rows[phrase.start : phrase.end] += possible
    return weights / np.maximum(weights.sum(axis=2, keepdims=True), 1.0)


def _cells(phrases: Sequence[Phrase], grid: Grid) -> tuple[tuple[int, int], ...]:
    """Pairs of a word of a phrase and a cell of its region."""
    regions = Regions.of([phrase.boxes for phrase in phrases], grid)
    return tuple(
        (word, int(cell))
        for phrase, possible in zip(phrases, regions.possible, strict=True)
        for word in range(phrase.start, phrase.end)
        for cell in np.flatnonzero(possible)
    )
