"""Summarization: ROUGE, and how much of a summary is the writer's own."""

from __future__ import annotations

from typing import Any

from reports.leaderboard.judging import judges
from reports.leaderboard.text_judge import TextJudge
from tasks.evaluation.alignment_text import WordPair
from tasks.summarization.evaluate import SCORING, word_pair


@judges.register("summarization")
class Summarization(TextJudge):
    """Scores summaries."""

    scoring = SCORING

    @classmethod
    def view(cls, example: Any) -> WordPair:
        return word_pair(example)
