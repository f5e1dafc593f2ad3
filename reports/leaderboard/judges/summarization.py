"""Summarization: ROUGE, and how much of a summary is the writer's own."""

from __future__ import annotations

from reports.leaderboard.judging import judges
from reports.leaderboard.text_judge import TextJudge
from tasks.summarization.testing import SCORING, word_pair


@judges.register("summarization")
class Summarization(TextJudge):
    """Scores summaries."""

    scoring = SCORING
    view = staticmethod(word_pair)
