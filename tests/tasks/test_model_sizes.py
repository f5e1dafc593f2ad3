"""Settings to model sizes, and the one setting that is spelt otherwise."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bench.models.base import ModelConfig
from tasks.plan import make_cell, resolve
from tasks.settings import Settings
from tasks.training.module import model_sizes


def test_settings_that_sizes_have_a_field_for_are_taken() -> None:
    sizes = model_sizes(Settings(hidden=96, heads=6, positions="learned", steps=3))
    assert (sizes.hidden, sizes.heads, sizes.positions) == (96, 6, "learned")
    assert sizes.max_positions == ModelConfig().max_positions
    assert sizes.attention_layers is None


@pytest.mark.parametrize(
    ("text", "spelt", "layers"),
    [
        ("all", "all", None),
        ("last", "last", (5,)),
        (3, "3", (3,)),
        ("1,3,5", "1,3,5", (1, 3, 5)),
        (" 4, 2,4 ", "2,4", (2, 4)),
    ],
)
def test_layers_that_attend(text: object, spelt: str, layers: tuple[int, ...] | None) -> None:
    settings = Settings(attention_layers=text, decoder_layers=5)
    assert settings.attention_layers == spelt
    assert model_sizes(settings).attention_layers == layers


@pytest.mark.parametrize("text", ["", "first", "1;2", "1,,2", "-1", True, 1.5, None])
def test_what_names_no_layers_is_refused(text: object) -> None:
    with pytest.raises(ValidationError, match="numbers of layers with commas"):
        Settings(attention_layers=text)


def test_one_choice_of_layers_has_one_name() -> None:
    cells = {
        make_cell("translation", "multi-step", options={"attention_layers": text}).hash
        for text in ("2,1", "1,2", "1, 2,2")
    }
    assert len(cells) == 1
    plain = make_cell("translation", "multi-step", options={"attention_layers": "all"})
    assert plain == make_cell("translation", "multi-step")
    one = make_cell("translation", "multi-step", options={"attention_layers": 1})
    assert model_sizes(resolve(one).settings).attention_layers == (1,)
