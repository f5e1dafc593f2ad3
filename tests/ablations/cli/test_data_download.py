"""`attnbench data download` against a server of our own."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from loopback_hub import Hub, loopback_hub

from bench.cli import main as cli
from tasks.data.archives import Distribution, Piece
from tasks.entailment.datasets.multi_nli import MultiNli
from tasks.entailment.datasets.sick import Sick
from tasks.translation.datasets.wmt14 import Wmt14

HEADER = "pair_ID\tsentence_A\tsentence_B\tentailment_label\tSemEval_set"
SICK = "\n".join(
    [
        HEADER,
        *(
            f"{n}\tone {n} runs\tsomeone {n} sits\t{label}\t{part}"
            for n, (label, part) in enumerate(
                (label, part)
                for part in ("TRAIN", "TRIAL", "TEST")
                for label in ("NEUTRAL", "ENTAILMENT", "CONTRADICTION")
            )
        ),
    ]
)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)
    with loopback_hub(monkeypatch) as hub:
        yield hub


def sick_archive(text: str = SICK) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("SICK.txt", text)
    return sink.getvalue()


@pytest.fixture
def sick(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """SICK's card, with the archive on our server."""
    body = sick_archive()
    hub.files["SICK.zip"] = body
    digest = hashlib.sha256(body).hexdigest()
    piece = Piece(
        hub.url("SICK.zip"), {"SICK.txt": "sick/SICK.txt"}, "zip", len(body), sha256=digest
    )
    monkeypatch.setattr(Sick, "card", Distribution("sick", "our server", (piece,)))
    return hub


def fails(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The one line on stderr of a command that must end with status 2."""
    assert cli.main(["data", *command]) == 2
    error = capsys.readouterr().err
    assert error.startswith("attnbench: error: ") and error.count("\n") == 1
    return error


def test_what_was_got_can_be_used(
    sick: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "new"
    assert cli.main(["data", "download", "sick", "--data-root", str(root)]) == 0
    printed = capsys.readouterr().out
    # Terms come before the first byte.
    assert printed.index("licence: CC BY-NC-SA 3.0") < printed.index("sick: SICK.zip, ")
    assert printed.index("citation: Marelli et al. 2014") < printed.index("sick: SICK.zip, ")
    assert "from: our server" in printed and "complete; " in printed
    assert cli.main(["data", "check", "sick", str(root)]) == 0
    assert capsys.readouterr().out.startswith("entailment/sick: can be used (train 3,")
    run = ["run", "--task", "entailment", "--attention", "soft", "--dataset", "sick"]
    assert cli.main([*run, "--budget", "smoke", "--data-root", str(root)]) == 0
    # Once is enough.
    assert cli.main(["data", "download", "sick", "--data-root", str(root)]) == 0
    assert "1 of 1 files were there" in capsys.readouterr().out
    assert len(sick.seen) == 1


def test_a_cut_is_resumed_and_nothing_is_taken_for_whole_before(
    sick: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sick.cut = [50, 0, 0, 0]
    error = fails(capsys, "download", "sick", "--data-root", str(tmp_path))
    assert "SICK.zip: download failed (0 of" in error and "what has arrived is kept" in error
    assert not (tmp_path / "sick").exists()
    fails(capsys, "check", "sick", str(tmp_path))
    assert cli.main(["data", "download", "sick", "--data-root", str(tmp_path)]) == 0
    assert sick.seen[-1][1] == "bytes=50-"
    assert cli.main(["data", "check", "sick", str(tmp_path)]) == 0


def test_other_contents_than_published(
    sick: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sick.files["SICK.zip"] = sick_archive(SICK.replace("NEUTRAL", "ENTAILMENT"))
    error = fails(capsys, "download", "sick", "--data-root", str(tmp_path))
    assert "the contents are not what was published" in error
    assert not (tmp_path / "sick").exists()


def test_what_the_server_does_not_have(
    sick: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sick.files.clear()
    assert "SICK.zip: not found" in fails(capsys, "download", "sick", "--data-root", str(tmp_path))


def test_no_network(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = fails(capsys, "download", "cnn_dailymail", "--data-root", str(tmp_path))
    assert "download failed" in error and "check the network" in error
    assert not list(tmp_path.rglob("*.parquet"))


def test_places_that_cannot_be_written(
    sick: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    error = fails(capsys, "download", "sick", "--data-root", str(tmp_path / "file"))
    assert "not a directory" in error
    error = fails(capsys, "download", "sick", "--data-root", str(tmp_path / "file" / "below"))
    assert "cannot be written (Not a directory)" in error
    assert sick.seen == []


def parquet(**columns: list[Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def serve(hub: Hub, kind: Any, revision: str, body: bytes) -> None:
    """Every file of a card, at one revision only."""
    card = kind.card.at(revision)
    hub.datasets[card.identifier, card.revision] = dict.fromkeys(card.remote_files(), body)


NLI = {
    "premise": [f"one {n} runs" for n in range(6)],
    "hypothesis": [f"someone {n} sits" for n in range(6)],
    "label": [0, 1, 2, 0, 1, -1],
}


def test_a_card_of_the_hub_at_its_pin(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MultiNli, "card", MultiNli.card.at("main").at(MultiNli.card.revision))  # type: ignore[union-attr]
    serve(hub, MultiNli, "", parquet(**NLI))
    assert cli.main(["data", "download", "multi_nli", "--data-root", str(tmp_path)]) == 0
    assert "nyu-mll/multi_nli on the hub, at da70db2af9d0" in capsys.readouterr().out
    corpus = MultiNli.load(MultiNli.Options(), tmp_path)
    assert {len(part) for part in corpus.tests.values()} == {5}
    assert corpus.tests["matched"][2].label == "contradiction"
    assert corpus.notes[0] == f"nyu-mll/multi_nli at {hub.commit}"
    assert "3 pairs without a gold label ('-') dropped" in corpus.notes


def test_the_pin_has_digests(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    serve(hub, MultiNli, "", parquet(**NLI))
    error = fails(capsys, "download", "multi_nli", "--data-root", str(tmp_path))
    assert "the contents are not what was published" in error


def test_another_revision_is_got_and_read_by_its_name(
    hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [{"de": f"eins {n}", "en": f"one {n}"} for n in range(7)] + [{"de": " ", "en": "x"}]
    serve(hub, Wmt14, "other", parquet(translation=pairs))
    get = ["data", "download", "wmt14", "--data-root", str(tmp_path)]
    assert cli.main([*get, "--revision", "other"]) == 0
    check = ["data", "check", "wmt14", str(tmp_path)]
    assert cli.main([*check, "--set", "revision=other"]) == 0
    capsys.readouterr()
    assert cli.main(check) == 2
    assert "`attnbench data download wmt14 --data-root" in capsys.readouterr().out
    options = Wmt14.Options(revision="other", pair="de-en")  # type: ignore[call-arg]
    corpus = Wmt14.load(options, tmp_path)
    # The training part is three files.
    assert [len(corpus.train), len(corpus.validation), len(corpus.tests["test"])] == [21, 7, 7]
    assert list(corpus.train)[8] == corpus.train[8] == corpus.train[7:][1]
    pair = corpus.train[8]
    assert (pair.id, pair.source_text, pair.target_text) == ("train-10", "eins 1", "one 1")
    assert "train: 3 pairs with a blank side left out" in corpus.notes
    assert fails(
        capsys, "download", "sick", "--data-root", str(tmp_path), "--revision", "x"
    ).startswith("attnbench: error: --revision: 'sick' is distributed in one version only")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["download"], "NAME"),
        (["download", "sikc"], "unknown data set 'sikc'; did you mean 'sick'?"),
        (["download", "sick"], "--data-root: no destination given"),
        (["download", "parallel", "--data-root", "."], "read from files of your own"),
        (
            ["download", "synthetic", "--data-root", "."],
            "'synthetic' is a data set of captioning, entailment, ",
        ),
        (["download", "synthetic", "--task", "speech", "--data-root", "."], "it is generated"),
        (["download", "sick", "--task", "speech", "--data-root", "."], "unknown data set 'sick'"),
    ],
)
def test_mistakes(
    hub: Hub, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in fails(capsys, *arguments)
