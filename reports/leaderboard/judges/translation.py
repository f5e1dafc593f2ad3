"""Translation: BLEU, chrF, and whether it is the reference to the letter."""

from __future__ import annotations

from reports.leaderboard.judging import judges
from reports.leaderboard.text_judge import TextJudge
from tasks.translation.testing import SCORING, word_pair


@judges.register("translation")
class Translation(TextJudge):
    """Scores translations."""

    scoring = SCORING
    view = staticmethod(word_pair)
