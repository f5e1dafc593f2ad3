from __future__ import annotations

import pytest
import torch

from bench.models.dropout import dropout
from bench.stacking.fold import Draws, Fold, RandomState, fold_in_force, random_state

CPU = torch.device("cpu")
#: Two models with 3 and 2 rows of 4 and 6 positions.
ROWS, SIZES, STEPS = (3, 2), (4, 6), (4, 6)


def seeded(seed: int) -> RandomState:
    return RandomState(torch.manual_seed(seed).get_state())


@pytest.fixture
def fold() -> Fold:
    draws = Draws(CPU, [seeded(1), seeded(2)])
    return Fold(2, {3: ROWS}, {6: SIZES}, STEPS, draws)


def test_a_fold_is_in_force_inside_alone(fold: Fold) -> None:
    assert fold_in_force() is None
    with pytest.raises(RuntimeError), fold.in_force():
        assert fold_in_force() is fold
        raise RuntimeError
    assert fold_in_force() is None


def test_parts_are_cut_out_and_joined_again(fold: Fold) -> None:
    whole = torch.randn(6, 6, 5, requires_grad=True)
    parts = fold.parts(whole)
    assert [part.shape for part in parts] == [(3, 4, 5), (2, 6, 5)]
    assert torch.equal(parts[1], whole[3:5])
    joined = fold.join(parts, 3, 6)
    assert joined.shape == whole.shape
    assert torch.equal(joined[:3, :4], whole[:3, :4]) and not joined[:3, 4:].any()
    joined.sum().backward()
    assert whole.grad is not None and whole.grad.sum() == 3 * 4 * 5 + 2 * 6 * 5
    weights = fold.parts(torch.randn(6, 6, 6), positions=2)
    assert [part.shape for part in weights] == [(3, 4, 4), (2, 6, 6)]
    assert fold.parts(torch.randn(6, 6), positions=0)[0].shape == (3, 6)


def test_models_on_a_gpu_have_streams_of_their_own_on_both_sides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Masks of spectrograms, say, are drawn on the host."""
    gpu = torch.Generator()  # in the place of a GPU's
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: gpu.get_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: gpu.set_state(state))

    def drawn() -> list[float]:
        return [float(torch.rand(())), float(torch.rand((), generator=gpu))]

    states, alone = [], []
    for seed in (1, 2):
        torch.manual_seed(seed)
        gpu.manual_seed(10 + seed)
        states.append(random_state(torch.device("cuda")))
        alone.append([drawn() for _ in range(2)])
    draws = Draws(torch.device("cuda"), states)
    for step in range(2):
        for model in range(2):
            with draws.of(model):
                assert drawn() == alone[model][step]


@pytest.mark.parametrize("shape", [(6, 6, 5), (6, 6), (6, 7, 5)])
def test_every_model_drops_what_it_would_drop_alone(fold: Fold, shape: tuple[int, ...]) -> None:
    whole = torch.randn(shape)
    with fold.in_force():
        dropped = [dropout(whole, 0.3, True) for _ in range(2)]
    parts = [fold.parts(one, positions=1 if len(shape) == 3 else 0) for one in (whole, *dropped)]
    for model in range(2):
        torch.manual_seed(model + 1)
        for found in (parts[1][model], parts[2][model]):
            assert torch.equal(found, dropout(parts[0][model].contiguous(), 0.3, True))


def test_who_has_no_more_steps_draws_nothing(fold: Fold) -> None:
    before = [state.cpu.clone() for state in fold.draws.states]
    with fold.in_force():
        dropped = dropout(torch.ones(6, 5), 0.5, True, step=4)
    assert torch.equal(fold.draws.states[0].cpu, before[0]) and (dropped[:3] == 1).all()
    assert not torch.equal(fold.draws.states[1].cpu, before[1]) and (dropped[3:5] != 1).any()
