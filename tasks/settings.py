"""Everything about a trial that is not an axis: model sizes, training, decoding.

One flat, typed, frozen object. Its defaults come from the data set and the budget, single values
are changed by `--set key=value`. The budgets.yaml of a task says for each of its data sets what
differs from the task's defaults under each budget, for all models, for single families of them,
and where a setting asks for another recipe (`Settings.chooses_recipe`). Blocks that several data
sets share are taken over by `extends`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, partial
from importlib.resources import files
from typing import Any, ClassVar, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from bench.attention import Backbone

BUDGETS: dict[str, str] = {
    "smoke": "seconds on one core: proves that everything runs, learns next to nothing",
    "laptop": "the default: small models on embedded or small data, made for 2 cores",
    "gpu": "published model sizes on real data, made for one GPU per trial or more",
}

# Fields that only models of one family read say so: elsewhere they cannot name another trial.
_transformer: Any = partial(Field, json_schema_extra={"backbones": ["transformer"]})
_convolutional: Any = partial(Field, json_schema_extra={"backbones": ["convolutional"]})
_not_transformer: Any = partial(
    Field, json_schema_extra={"backbones": ["recurrent", "convolutional"]}
)
_previous_state: Any = partial(
    Field,
    json_schema_extra={"backbones": ["recurrent"], "placements": ["previous-state", "fixed"]},
)


class Settings(BaseModel):
    """Settings that every task shares; a task adds its own by subclassing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Names of settings with which others have other defaults: those under `where` in budgets.yaml.
    chooses_recipe: ClassVar[tuple[str, ...]] = ()

    # training
    max_steps: int = Field(300, ge=1, description="optimizer steps")
    batch_tokens: int = Field(
        1500, ge=1, description="target units (tokens) a batch holds at most, padding counted"
    )
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of AdamW")
    warmup_fraction: float = Field(
        0.1, ge=0, le=1, description="fraction of the steps spent warming up"
    )
    schedule: Literal["constant", "linear", "cosine", "inverse-sqrt"] = Field(
        "cosine", description="how the learning rate falls after warm-up"
    )
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    grad_clip_norm: float = Field(1.0, gt=0, description="norm that gradients are clipped to")
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    dropout: float = Field(0.1, ge=0, lt=1)
    num_validations: int = Field(5, ge=1, description="validation passes, evenly spaced")
    patience: int = Field(
        0,
        ge=0,
        description="stop after so many validations without a lower validation loss, and test the "
        "parameters that had the lowest; 0 trains for max_steps and tests the last ones",
    )
    precision: Literal["32", "bf16"] = "32"

    # model
    embedding_dim: int = Field(64, ge=1, description="size of token embeddings")
    hidden_dim: int = Field(128, ge=2, description="size of encoder and decoder states")
    encoder_layers: int = Field(1, ge=1)
    decoder_layers: int = Field(1, ge=1)
    rnn_type: Literal["gru", "lstm"] = "gru"
    bidirectional: bool = True
    encoder_self_attention: int = _not_transformer(
        0, ge=0, description="layers of self-attention over the states of the encoder"
    )
    num_heads: int = _transformer(4, ge=1, description="heads of the Transformer")
    ffn_dim: int = _transformer(256, ge=1, description="inner size of the Transformer")
    positional_encoding: Literal["sinusoids", "learned", "none"] = _transformer(
        "sinusoids",
        description="absolute positions of the Transformer; none by default where "
        "relative_positions are chosen",
    )
    projection_init: Literal["xavier", "equal"] = _transformer(
        "xavier",
        description="equal: queries and keys of the cross-attention start with one projection, so "
        "that equal vectors find each other from the first step (after Trockman 2023)",
    )
    kernel_size: int = _convolutional(3, ge=1, description="width of the convolutions")
    attention_layers: str = _convolutional(
        "all", description="decoder layers with attention (1-based, as in 1,3,5), all, or last"
    )
    input_feeding: bool = Field(
        False, description="Luong 2015: the attentional vector enters the next step"
    )
    readout: Literal["tanh", "maxout"] = _previous_state(
        "tanh",
        description="from state, context and last word to features: a tanh layer over the new "
        "state, or Bahdanau 2015's maxout over the previous one",
    )
    tie_embeddings: bool = Field(True, description="the output layer shares the target embeddings")

    # gold alignments as teacher, or in place of attention
    gold_attention: Literal["none", "loss", "given"] = Field(
        "none",
        description="loss: weights are also trained on gold alignments (Mi 2016, Garg 2019); "
        "given: the gold alignment of a target unit is its weights, at test too: the upper control",
    )
    gold_weight: float = Field(
        0.5, ge=0, description="gold_attention=loss: its weight beside the loss per target unit"
    )
    gold_head: str = Field(
        "mean",
        description="gold_attention=loss: which weights are trained: mean (over heads and layers), "
        "or one head by its name in the traces, as in 'head 1', 'layer 2' or 'layer 2 head 1'",
    )

    # decoding and what is kept
    beam_size: int = Field(1, ge=1, description="beam width at test; 1 is greedy")
    length_penalty: float = Field(1.0, ge=0, description="exponent of Wu 2016, equation 14")
    coverage_penalty: float = Field(0.0, ge=0, description="weight of Wu 2016, equation 14")
    max_length: int = Field(100, ge=1, description="longest output, in units")
    train_limit: int = Field(0, ge=0, description="use the first N training examples; 0 is all")
    test_limit: int = Field(0, ge=0, description="use the first N test examples; 0 is all")
    num_traces: int = Field(8, ge=0, description="examples whose attention is kept, per test set")

    @field_validator("attention_layers", mode="before")
    @classmethod
    def _layers(cls, value: object) -> object:
        """The one spelling of a choice: ascending numbers, each of them once, with commas."""
        if value in ("all", "last"):
            return value
        numbers = str(value).split(",")
        if isinstance(value, bool) or not all(part.strip().isdecimal() for part in numbers):
            raise ValueError("all, last, or numbers of layers with commas, as in 1,3,5")
        return ",".join(map(str, sorted({int(part) for part in numbers})))


class TextSettings(Settings):
    """Settings of the tasks that turn text into text: adds the vocabulary and bounds on sources."""

    tokenizer: Literal["word", "bpe"] = Field("word", description="words, or byte-pair encoding")
    vocab_size: int = Field(
        0, ge=0, description="largest vocabulary of each side; 0 keeps every word (not for bpe)"
    )
    joint_vocab: bool = Field(
        False, description="both sides share one vocabulary and one table of embeddings"
    )
    copying: Literal["none", "pointer-generator"] = Field(
        "none",
        description="See 2017: words are generated or copied from the source, unknown ones too",
    )
    batch_source_tokens: int = Field(
        0, ge=0, description="source units a batch holds at most in training; 0 is any number"
    )
    eval_batch_tokens: int = Field(
        4000, ge=1, description="source units a batch holds at most when testing"
    )


Budget = Literal["smoke", "laptop", "gpu"]


class _Block(BaseModel):
    """Settings by name, with those of single backbones. The names are checked by the task's
    `Settings`, which the settings of every plan are validated against.

    Attributes:
        core_seconds: what a cell takes on one core, about, whatever its mechanism.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    core_seconds: float | None = None
    extends: str | list[str] = []
    recurrent: dict[str, Any] = {}
    transformer: dict[str, Any] = {}
    convolutional: dict[str, Any] = {}
    where: dict[str, _Block] = {}


class _Budgets(BaseModel):
    """The budgets.yaml of one task: data sets by name, and the blocks they share."""

    model_config = ConfigDict(frozen=True)

    datasets: dict[str, dict[Budget, _Block]]
    shared: dict[str, _Block]

    def extended(self, block: _Block) -> list[_Block]:
        """The blocks that one takes over."""
        names = [block.extends] if isinstance(block.extends, str) else block.extends
        return [self.shared[name] for name in names]

    def core_seconds(self, block: _Block, chosen: Collection[str]) -> float | None:
        """Those of the chosen recipe, else the block's own, else those of the first block it takes
        over that has any."""
        recipes = [block.where[name] for name in block.where if name in chosen]
        others = [self.core_seconds(one, chosen) for one in (*recipes, *self.extended(block))]
        own = (*others[: len(recipes)], block.core_seconds, *others[len(recipes) :])
        return next((seconds for seconds in own if seconds is not None), None)

    def resolved(
        self, block: _Block, backbone: Backbone, chosen: Collection[str]
    ) -> dict[str, Any]:
        """Later ones win: what is extended, what holds for all backbones, what for this one, what
        where a setting is chosen."""
        settings: dict[str, Any] = {}
        for shared in self.extended(block):
            settings |= self.resolved(shared, backbone, chosen)
        settings |= (block.model_extra or {}) | getattr(block, backbone)
        for name in block.where.keys() & set(chosen):
            settings |= self.resolved(block.where[name], backbone, chosen)
        return settings


def budget_settings(
    dataset: type, budget: str, backbone: Backbone, chosen: Collection[str] = ()
) -> Mapping[str, Any]:
    """The settings of a data set's section under a budget, for models of a backbone, where the
    `chosen` of `Settings.chooses_recipe` have been set.

    A data set of `tasks.TASK.datasets` has its section in tasks/TASK/budgets.yaml under its name,
    classes derived from it share it; data sets from elsewhere have none, and no settings here.
    """
    found = _section(dataset, budget)
    return {} if found is None else found[0].resolved(found[1], backbone, chosen)


def budget_core_seconds(dataset: type, budget: str, chosen: Collection[str] = ()) -> float | None:
    """What a cell on a data set takes on one core under a budget, about, where the `chosen` of
    `Settings.chooses_recipe` have been set; None where that is not noted."""
    found = _section(dataset, budget)
    return None if found is None else found[0].core_seconds(found[1], chosen)


def _section(dataset: type, budget: str) -> tuple[_Budgets, _Block] | None:
    for kind in dataset.__mro__:
        package, ours, _ = kind.__module__.partition(".datasets")
        if ours and package.startswith("tasks.") and "name" in vars(kind):
            budgets = _read(package)
            if (section := budgets.datasets.get(vars(kind)["name"])) is not None:
                return budgets, section.get(budget, _Block())  # type: ignore[call-overload]
    return None


@cache
def _read(package: str) -> _Budgets:
    shared, own = (
        yaml.safe_load(files(owner).joinpath("budgets.yaml").read_text("utf-8"))
        for owner in ("tasks", package)
    )
    shared |= own.pop("shared", {})
    return _Budgets(datasets=own, shared=shared)
