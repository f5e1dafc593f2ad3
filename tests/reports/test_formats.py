"""How figures are written."""

from __future__ import annotations

import pytest

from reports import formats


@pytest.mark.parametrize(
    ("metric", "digits", "name"),
    [
        ("bleu", 1, "BLEU"),
        ("long_bleu", 1, "long BLEU"),
        ("chrf", 1, "chrF"),
        ("perplexity", 2, "perplexity"),
        ("rouge_l", 3, "ROUGE-L"),
        ("bleu_4", 1, "BLEU-4"),
        ("accuracy", 3, "accuracy"),
        ("macro_f1", 3, "macro F1"),
        ("cider", 3, "CIDEr"),
        ("per", 3, "PER"),
        ("alter", 3, "alter"),
    ],
)
def test_metrics(metric, digits, name):
    assert formats.decimals(metric) == digits
    assert formats.metric_name(metric) == name


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (formats.number(-0.04, 1), "0.0"),
        (formats.number(-1.25, 2), "−1.25"),
        (formats.number(12345.6, 1), "12,345.6"),
        (formats.interval(40.06, 42.34, 1), "[40.1, 42.3]"),
        (formats.signed(0.04, 1), "0.0"),
        (formats.signed(1.5, 1), "+1.5"),
        (formats.signed(-1.5, 1), "−1.5"),
        (formats.count(12), "12"),
        (formats.count(0.1234), "0.123"),
        (formats.count(4321), "4.32k"),
        (formats.count(171_002), "171k"),
        (formats.count(1_200_000), "1.20M"),
        (formats.seconds(12.34), "12.3 s"),
        (formats.seconds(245), "4 min 05 s"),
        (formats.seconds(7830), "2 h 10 min"),
        (formats.size(512), "512 B"),
        (formats.size(1.5 * 2**30), "1.5 GiB"),
        (formats.plural(1, "seed"), "1 seed"),
        (formats.plural(2, "match", "matches"), "2 matches"),
        (formats.listed(["a"]), "a"),
        (formats.listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_figures(written, expected):
    assert written == expected
