"""The rule of convergence against simulated curves, with the error rates of docs/statistics.md."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tasks.training.convergence import best_validation, converged, out_of_patience

CURVES = 400
Generator = np.random.Generator


def curve_of(*losses: float) -> list[dict[str, float]]:
    return [{"step": float(step), "validation_loss": loss} for step, loss in enumerate(losses, 1)]


def flat(validations: int, rng: Generator) -> np.ndarray:
    return 2 + 0.1 * rng.standard_normal(validations)


def plateau(validations: int, rng: Generator) -> np.ndarray:
    """Everything is learnt in the first third of training; noise of 3 % of it."""
    falling = np.exp(-18 * np.arange(1, validations + 1) / validations)
    return 1 + falling + 0.03 * rng.standard_normal(validations)


def overfitted(validations: int, rng: Generator) -> np.ndarray:
    time = np.arange(1, validations + 1) / validations
    return np.abs(time - 0.4) + 0.03 * rng.standard_normal(validations)


def sloping(fall: float) -> Callable[[int, Generator], np.ndarray]:
    """A straight fall by so many standard deviations of the noise from validation to validation."""

    def made(validations: int, rng: Generator) -> np.ndarray:
        return 5 - fall * np.arange(validations) + rng.standard_normal(validations)

    return made


def decaying(rate: float) -> Callable[[int, Generator], np.ndarray]:
    """Exponential decay by so many factors of e over the whole training."""

    def made(validations: int, rng: Generator) -> np.ndarray:
        time = np.arange(1, validations + 1) / validations
        return 1 + np.exp(-rate * time) + 0.002 * rng.standard_normal(validations)

    return made


def share_converged(kind: Callable[[int, Generator], np.ndarray], validations: int) -> float:
    rng = np.random.default_rng(validations)
    judged = [converged(curve_of(*map(float, kind(validations, rng)))) for _ in range(CURVES)]
    assert None not in judged
    return float(np.mean(np.array(judged, dtype=bool)))


@pytest.mark.parametrize("validations", [4, 5, 6, 8, 10, 12, 15, 20, 30])
@pytest.mark.parametrize("kind", [flat, plateau, overfitted])
def test_what_no_longer_falls_has_converged(
    kind: Callable[[int, Generator], np.ndarray], validations: int
) -> None:
    # 95 %, and the error of so many simulations.
    assert share_converged(kind, validations) >= 0.95 - 0.02


@pytest.mark.parametrize(
    ("fall", "validations"),
    [*((2.5, validations) for validations in (4, 5, 6, 8, 10, 12)), (1.5, 15), (1, 20), (0.5, 30)],
)
def test_a_fall_beyond_the_noise_is_seen(fall: float, validations: int) -> None:
    assert share_converged(sloping(fall), validations) <= 0.2


@pytest.mark.parametrize("validations", [4, 5, 6, 8, 10, 20, 30])
@pytest.mark.parametrize("rate", [1.0, 2.0, 3.0])
def test_an_exponential_decay_that_is_under_way_is_seen(rate: float, validations: int) -> None:
    assert share_converged(decaying(rate), validations) <= 0.1


@pytest.mark.parametrize(
    ("losses", "expected"),
    [
        ((), None),
        ((3.0, 2.0, 1.0), None),
        ((1.9690, 0.6736, 0.1560, 0.0561, 0.0331, 0.0321), True),  # 99.2 BLEU
        ((1.8435, 1.0549, 0.7065, 0.4455, 0.3053, 0.2799), False),  # 74.6 BLEU
        ((2.1657, 1.1935, 0.7364, 0.3755, 0.3274), False),
        ((57.8482, 1.6552, 1.0257, 0.6939), False),  # the first one is far off
        ((0.9, 0.5, 0.4, 0.4, 0.4), True),
        ((1.0,) * 8, True),
        ((0.9, 0.5, 0.4, 0.3, 0.6), True),  # overfitted at the end
    ],
)
def test_curves_are_judged_as_a_reader_would(
    losses: tuple[float, ...], expected: bool | None
) -> None:
    assert converged(curve_of(*losses)) is expected


def test_without_a_validation_loss_nothing_is_said() -> None:
    assert converged([{"step": float(step), "loss": 1.0} for step in range(8)]) is None


def test_the_first_of_the_lowest_losses_is_the_best() -> None:
    assert best_validation(curve_of(3.0, 1.0, 2.0, 1.0)) == 1
    assert best_validation(curve_of(3.0, 1.0, 1.0 - 1e-9)) == 1, "equal as recorded"


def test_patience_counts_validations_since_the_best() -> None:
    curve = curve_of(3.0, 1.0, 2.0, 1.0)
    assert [out_of_patience(curve, patience) for patience in (0, 1, 2, 3)] == [
        False,
        True,
        True,
        False,
    ]
    assert not out_of_patience([], 1)
