"""Which contenders have a page of their own, and what it is called."""

from __future__ import annotations

import hashlib

from reports.analysis import Analysis
from reports.frames import Contender, Setting, slug


def page_of_cell(setting: Setting, contender: Contender) -> str:
    """File name of a contender's page. Different names may have one slug, so a digest follows."""
    whole = f"{setting.slug} {contender.name}"
    digest = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"cell-{slug(whole)[:80]}-{digest}.html"


def link(analysis: Analysis, place: int) -> str:
    """The page of the contender at this place, "" where it has none: only the leading ones do."""
    if place not in analysis.leading:
        return ""
    return page_of_cell(analysis.frame.setting, analysis.frame.contenders[place])
