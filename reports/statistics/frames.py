"""The frames that statistics of comparison take: figures, trials, differences and draws.

    figures      one row a contender of a setting: its mean over seeds, and what that varies by
    trials       one row a finished trial: the headline figure of one seed
    differences  one row a pair of contenders of a setting, with the standard error
    draws        one row a bootstrap draw of the test examples, one column a contender of a setting

Two things make a figure uncertain: other examples, which the draws show (contenders of one setting
share them, so that what is hard for all cancels), and other seeds, which `seed_draws` adds. Two or
three seeds are not resampled, since that finds half of their variance: their noise is drawn from
the distribution that a t interval stands for, a normal of a variance that is itself uncertain.
Where there is one seed its variance is unknown, and everything made of these frames covers other
examples alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.attention.registries import NO_SCORE
from reports.load import options_text
from reports.statistics import OVER_SEEDS, Analysis

#: What is validated in every task: accuracy over units, and the loss.
VALIDATED, VALIDATION_LOSS = "validation_accuracy", "validation_loss"
#: setting: label with the task in front; contender: its name; value: mean over its seeds;
#: own_variance: over its own seeds, NaN with one; seed_variance: of a single seed's figure as tests
#: take it, learnt from the whole table and never below its own (cautious, so too large on average),
#: NaN where it is unknown; freedom: degrees of freedom of that; over_seeds: whether it is known.
FIGURES = (
    *("setting", "task", "metric", "higher_is_better", "contender", "attention", "score"),
    *("backbone", "options", "seeds", "value", "own_variance", "seed_variance"),
    *("freedom", "over_seeds"),
)
TRIALS = ("setting", "contender", "seed", "value")
#: first has the better figure of the two; difference: its figure less that of second;
#: standard_error: over examples and seeds, NaN where they were tested on other examples;
#: least_p: the least that p can be, from the number of examples that tell the two apart.
DIFFERENCES = (
    *("setting", "metric", "higher_is_better", "first", "second", "difference"),
    *("standard_error", "freedom", "least_p", "over_seeds"),
)


def setting_name(analysis: Analysis) -> str:
    """Name the setting of an analysis: `translation: synthetic, laptop budget`."""
    setting = analysis.frame.setting
    return f"{setting.task}: {setting.label}"


def figures_of(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """The main metric of all contenders, one row each, with the columns FIGURES."""
    rows = []
    for analysis in analyses:
        found, frame = analysis.main.uncertainty, analysis.frame
        for index, place in enumerate(found.places if found else ()):
            assert found is not None
            contender, estimate = frame.contenders[place], analysis.main.estimates[place]
            assert estimate is not None, "places of an uncertainty have estimates"
            options = dict(contender.options)
            backbone = str(options.pop("backbone", ""))
            rows.append(
                (
                    *(setting_name(analysis), frame.setting.task, frame.main_metric),
                    *(frame.higher_is_better, contender.name, contender.attention),
                    *(contender.score, backbone, options_text(tuple(options.items())).strip()),
                    *(estimate.seeds, estimate.value, _variance(found.values[index])),
                    *(found.seed_variance[index], found.freedom[index]),
                    estimate.basis in OVER_SEEDS,
                )
            )
    return pd.DataFrame(rows, columns=list(FIGURES))


def _variance(values: Sequence[float]) -> float:
    return float(np.var(values, ddof=1)) if len(values) > 1 else float("nan")


def trials_of(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """The main metric of every finished trial, with the columns TRIALS."""
    rows = [
        (
            setting_name(analysis),
            contender.name,
            int(result.cell_json["seed"]),
            result.primary.value,
        )
        for analysis in analyses
        for contender in analysis.frame.contenders
        for result in contender.done
        if result.primary is not None and result.primary.name == analysis.frame.main_metric
    ]
    return pd.DataFrame(rows, columns=list(TRIALS))


def curves_of(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """One row a validation of a finished trial: setting, contender, seed, step, seconds of
    training, the validation figure's value, higher_is_better, and the name of the figure: the
    validation counterpart of the main metric where all trials of the setting have it, else the
    accuracy of single units, else the loss."""
    rows = []
    for analysis in analyses:
        frame = analysis.frame
        curves = [point for result in frame.done for point in result.curve]
        better = {f"validation_{frame.main_metric}": frame.higher_is_better, VALIDATED: True}
        known = (name for name in better if curves and all(name in point for point in curves))
        figure = next(known, VALIDATION_LOSS)
        rows += [
            (
                *(setting_name(analysis), contender.name, int(result.cell_json["seed"])),
                *(point["step"], point["seconds"], point[figure]),
                *(better.get(figure, False), figure),
            )
            for contender in frame.contenders
            for result in contender.done
            for point in result.curve
            if {"step", "seconds", figure} <= point.keys()
        ]
    names = ["setting", "contender", "seed", "step", "seconds", "value", "higher_is_better"]
    return pd.DataFrame(rows, columns=[*names, "figure"])


def differences_of(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """The differences of all pairs of contenders in a setting, with the columns DIFFERENCES."""
    parts = [pd.DataFrame(columns=list(DIFFERENCES))]
    for analysis in analyses:
        found, frame = analysis.main.uncertainty, analysis.frame
        if found is None or len(found.places) < 2:
            continue
        pairs, means = found.differences, found.differences.values
        names = np.array([frame.contenders[place].name for place in found.places], dtype=object)
        known = np.array([analysis.main.over_seeds([place]) for place in found.places])
        order = np.argsort(-frame.sign * means, kind="stable")
        first, second = (order[side] for side in np.triu_indices(len(order), k=1))
        columns = (
            *(setting_name(analysis), frame.main_metric, frame.higher_is_better),
            *(names[first], names[second], means[first] - means[second]),
            np.sqrt(pairs.variance[first, second]),
            *(pairs.freedom[first, second], pairs.least_p[first, second]),
            known[first] & known[second],
        )
        parts.append(pd.DataFrame(dict(zip(DIFFERENCES, columns, strict=True))))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def draws_of(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """The figures of every bootstrap draw of the examples: a row a draw, a column (setting,
    contender) each."""
    found = {
        (setting_name(analysis), analysis.frame.contenders[place].name): own.draws[index]
        for analysis in analyses
        if (own := analysis.main.uncertainty) is not None
        for index, place in enumerate(own.places)
    }
    return pd.DataFrame(found)


def seed_draws(figures: pd.DataFrame, draws: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return figures under other examples and other seeds, R,V, and the standard deviations over
    seeds that they were drawn with, R,V (NaN where that is unknown).

    A standard deviation is `s sqrt(f / chi2_f)`, with s the estimated one and f its degrees of
    freedom; the mean of n seeds then varies by it over `sqrt(n)`. Together that is s / sqrt(n)
    times Student's t, so that the middle 95 % of a column are the usual interval.

    Args:
        figures: V rows.
        draws: has a column for each of them.
    """
    rng = np.random.default_rng(0)
    keys = list(zip(figures["setting"], figures["contender"], strict=True))
    drawn = draws[keys].to_numpy(dtype=float)  # R,V
    freedom = np.clip(figures["freedom"].to_numpy(dtype=float), 1e-9, 1e9)
    chi = rng.chisquare(freedom, drawn.shape) / freedom
    deviation = np.sqrt(figures["seed_variance"].to_numpy(dtype=float) / np.maximum(chi, 1e-12))
    noise = deviation * rng.standard_normal(drawn.shape) / np.sqrt(figures["seeds"].to_numpy())
    # Resampled figures of a sum like BLEU lie a little off on average: only their spread is taken.
    centred = drawn - drawn.mean(axis=0) + figures["value"].to_numpy(dtype=float)
    return centred + np.nan_to_num(noise), deviation


def in_all_settings(figures: pd.DataFrame) -> pd.DataFrame:
    """The rows of contenders that finished in every setting: nobody gains from a task that was left
    out."""
    settings = figures["setting"].nunique()
    counts = figures.groupby("contender")["setting"].transform("nunique")
    return figures[counts == settings].reset_index(drop=True)


def without_controls(figures: pd.DataFrame) -> pd.DataFrame:
    """The rows of mechanisms that have a score function."""
    return figures[figures["score"] != NO_SCORE].reset_index(drop=True)
