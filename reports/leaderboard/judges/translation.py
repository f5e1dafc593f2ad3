"""Translation: BLEU, chrF, and whether it is the reference to the letter."""

from __future__ import annotations

from typing import Any

from reports.leaderboard.judging import judges
from reports.leaderboard.text_judge import TextJudge
from tasks.evaluation.alignment_text import WordPair
from tasks.translation.evaluate import SCORING, word_pair


@judges.register("translation")
class Translation(TextJudge):
    """Scores translations."""

    scoring = SCORING

    @classmethod
    def view(cls, example: Any) -> WordPair:
        return word_pair(example)
