"""The network over pictures: shapes, order of cells, what a result depends on."""

from __future__ import annotations

import pytest
import torch

from bench.errors import UsageError
from bench.models.image_encoder import PictureFront, grid_of


def front(**options: int) -> PictureFront:
    torch.manual_seed(1)
    return PictureFront(32, 12, **{"width": 8, **options}).eval()


def pictures(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (count, 32, 32, 3), generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("stem", "stages", "grid"), [(4, 1, (4, 4)), (4, 2, (2, 2)), (8, 0, (4, 4))]
)
def test_cells(stem: int, stages: int, grid: tuple[int, int]) -> None:
    network = front(stem=stem, stages=stages)
    assert network.grid == grid == grid_of(32, stem, stages)
    assert network(pictures(3)).shape == (3, grid[0] * grid[1], 12)


def test_cells_lie_in_raster_order() -> None:
    network = front(stages=0, stem=8)
    picture = pictures(1)
    changed = picture.clone()
    changed[0, 8:16, 24:32] = 255 - changed[0, 8:16, 24:32]  # second row, last column
    # The norm is over the whole picture, so all cells move a little; that one moves most.
    moved = (network(picture) - network(changed)).norm(dim=-1)[0]
    assert int(moved.argmax()) == 7


def test_a_picture_does_not_depend_on_its_batch() -> None:
    network, batch = front(), pictures(5)
    torch.testing.assert_close(network(batch)[2:3], network(batch[2:3]), rtol=1e-4, atol=1e-5)


def test_empty_cells_count_for_less_than_those_that_show_something() -> None:
    network = front(blocks=0)
    picture = torch.full((1, 32, 32, 3), 127, dtype=torch.uint8)
    picture += torch.randint(0, 3, picture.shape, dtype=torch.uint8)
    picture[0, :8, :8] = torch.tensor([220, 30, 30], dtype=torch.uint8)
    size = network.layers(((picture.float() - 127.5) / 32.0).permute(0, 3, 1, 2))
    strength = network.norm(size).var(dim=1)[0]  # rows,columns
    assert strength[0, 0] > 10 * strength[2:, 2:].max()


def test_everything_is_trained() -> None:
    network = front(blocks=1).train()
    for _ in range(2):  # residual branches begin at zero
        loss = network(pictures(4)).square().mean()
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                assert parameter.grad is not None
                parameter -= 0.1 * parameter.grad
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())  # type: ignore[union-attr]


def test_sizes_that_cells_do_not_divide_are_refused() -> None:
    with pytest.raises(UsageError, match="do not divide into cells of 8"):
        grid_of(50, 4, 1)
