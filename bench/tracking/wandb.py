"""One Weights & Biases run per trial.

Written for warm workers, where run follows run in one process: explicit identity, settings that
start a run in a dozen milliseconds, and `finish` whatever happens, since the next run would
otherwise continue the open one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import wandb

from bench.tracking.base import figures_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from bench.store.cell import Cell
    from bench.store.result import Result, Trace


Mode = Literal["online", "offline"]

PROJECT = "attention-bench"
_INIT_SECONDS = 10
#: How long the end of a run waits until everything is uploaded; what was not remains on disk.
_FINISH_SECONDS = 10
#: Characters of the longest name of a run, a group or an artifact, and of a tag.
LONGEST_NAME, _LONGEST_TAG = 128, 64
#: Environment variables for what a run's settings do not reach.
QUIET = {
    "WANDB_SILENT": "true",  # its service and its login print by themselves
    "WANDB_HTTP_TIMEOUT": "5",  # of a single request; logging a table waits for two of them
    "OTEL_SDK_DISABLED": "true",  # W&B's telemetry, whose failures are printed and waited for
}


@dataclass(frozen=True)
class Identity:
    """Identity of a run: the fields of these names in W&B."""

    id: str
    name: str
    group: str | None
    job_type: str
    tags: Sequence[str]
    config: Mapping[str, Any]

    def fields(self) -> dict[str, Any]:
        """The fields as `wandb.init` takes them, none longer than the server allows."""
        return {
            **vars(self),
            "name": fitted(self.name),
            "group": fitted(self.group) if self.group else None,
            "job_type": fitted(self.job_type, _LONGEST_TAG),
            "tags": list({fitted(tag, _LONGEST_TAG): None for tag in self.tags if tag}),
        }


def fitted(text: str, length: int = LONGEST_NAME) -> str:
    """A name of at most that many characters; one that is cut ends with a digest of the whole."""
    if len(text) <= length:
        return text
    return f"{text[: length - 9]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def open_run(
    mode: Mode, folder: Path, identity: Identity, patience: float | None = None
) -> tuple[Any, str | None]:
    """Open a run; also return, in one line, why it is offline where it was to be online.

    Where mode "online" fails because the network has gone since it was decided on, this and all
    later runs of the process are offline.

    Args:
        patience: seconds that `close_run` waits for uploads.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Logs and staged tables would otherwise go to the user's home.
    os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
    os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    # Set by ourselves below after a failure, so that no later trial waits for the same thing.
    if os.environ.get("WANDB_MODE") == "offline":
        mode = "offline"
    try:
        return _start(mode, folder, identity, patience), None
    except Exception as error:
        if mode == "offline":
            raise
        os.environ["WANDB_MODE"] = "offline"
        message = one_line(error).replace(identity.id, "...")  # the same for all runs
        wandb.teardown()  # its service holds on to the run that did not start
        return (
            _start("offline", folder, identity, patience),
            f"W&B went offline ({type(error).__name__}: {message})",
        )


def close_run(run: Any, exit_code: int) -> str | None:
    """End a run; return in one line what is left to upload, or None.

    A server that does not take everything in time would make every later run of the process wait as
    well, so these are offline.
    """
    try:
        run.finish(exit_code=exit_code)
    except TimeoutError:
        os.environ["WANDB_MODE"] = "offline"
        # In its folder are the files of this run alone.
        files = shlex.quote(str(Path(run.dir).parent))
        command = f"wandb sync --include-online {files}"
        return f"W&B did not take all of a run; `{command}` uploads the rest later"
    return None


def one_line(error: Exception) -> str:
    """Message of an error without line breaks."""
    return " ".join(str(error).split())


def _start(mode: Mode, folder: Path, identity: Identity, patience: float | None) -> Any:
    settings = wandb.Settings(
        mode=mode,
        init_timeout=_INIT_SECONDS,
        finish_timeout=_FINISH_SECONDS if patience is None else patience,
        finish_timeout_raises=True,
        # What each run would otherwise spend 100 ms and more on.
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
        disable_git=True,
        disable_code=True,
        console="off",
        silent=True,
    )
    return wandb.init(
        **identity.fields(),
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        dir=str(folder),
        resume="allow" if mode == "online" else None,
        reinit="finish_previous",
        settings=settings,
    )


# Heat map of one trace, for tracking while a trial runs; reports draw finer ones. Drawn pixel by
# pixel, since a plotting library takes a tenth of a second for the labels of one picture.

_CELL = 18  # pixels of a unit that is labelled
_LABELLED = 60  # more units than this cannot be read beside a picture
_LONGEST_LABEL = 16
_MARGIN = 4
_GOLD = (214, 39, 40)


def heatmap(trace: Trace) -> np.ndarray:
    """Draw a trace as RGB pixels H,W,3 (uint8): rows are target units, columns source units; the
    larger the weight, the darker; gold pairs are framed."""
    from PIL import Image, ImageDraw

    rows, columns = trace.weights.shape
    height, width = _cell_size(rows), _cell_size(columns)
    side, head = _labels(trace.target), _labels(trace.source)
    left = max((label.width for label in side), default=0) + _MARGIN
    top = max((label.width for label in head), default=0) + _MARGIN
    size = (left + columns * width + _MARGIN, top + rows * height + _MARGIN)
    picture = Image.new("RGB", size, "white")
    shades = np.round(255 * (1 - np.clip(trace.weights, 0, 1))).astype(np.uint8)
    blocks = shades.repeat(height, axis=0).repeat(width, axis=1)
    picture.paste(Image.fromarray(blocks), (left, top))
    for row, label in enumerate(side):
        picture.paste(label, (left - label.width - 2, top + row * height + 2))
    for column, label in enumerate(head):
        upright = label.rotate(90, expand=True)
        picture.paste(upright, (left + column * width + 2, top - upright.height - 2))
    draw = ImageDraw.Draw(picture)
    for t, s in trace.gold or ():
        corner = (left + s * width, top + t * height)
        far = (corner[0] + width - 1, corner[1] + height - 1)
        draw.rectangle((*corner, *far), outline=_GOLD, width=min(2, width, height))
    return np.asarray(picture)


def _cell_size(units: int) -> int:
    """Pixels per unit: pictures of any length stay about as large as the largest labelled one."""
    return _CELL if units <= _LABELLED else max(1, _CELL * _LABELLED // units)


def _labels(units: tuple[str, ...]) -> list[Image]:
    """Draw a small grey picture per unit; none where there are too many."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    if len(units) > _LABELLED:
        return []
    # Unlike pillow's own, this font covers most alphabets.
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    font, labels = ImageFont.truetype(str(path), 11), []
    for unit in units:
        text = unit if len(unit) <= _LONGEST_LABEL else unit[: _LONGEST_LABEL - 1] + "…"
        label = Image.new("L", (int(font.getlength(text)) + 1, _CELL - 4), 255)
        ImageDraw.Draw(label).text((0, 0), text, fill=0, font=font)
        labels.append(label)
    return labels


_PICTURES = 2
_TABLE_ROWS = 20
_COLUMNS = ("subset", "example", "source", "references", "prediction", "score")


class WandbTracker:
    """A run named by the cell's hash: group = study, job type = task.

    Opening it in mode "online" falls back to offline, for the rest of the process, where the
    network has gone since the sweep began.
    """

    def __init__(self, mode: Mode, cell: Cell, folder: Path, study: str | None) -> None:
        self._exit_code = 1
        identity = Identity(
            id=cell.hash,
            name=cell.label,
            group=study,
            job_type=cell.task,
            tags=[cell.attention, cell.score, cell.dataset, cell.budget],
            config=cell.to_json(),
        )
        self.problem: str | None
        self._run, self.problem = open_run(mode, folder, identity)
        self._known_step = _last_step(self._run)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        with self._harmless():
            if step > self._known_step:  # going on from a checkpoint begins with the old points
                self._run.log({**metrics, "step": step})

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        with self._harmless():
            if self._run.resumed:
                self._run.summary.update({"failure": None, "failure_message": None})
            self._run.summary.update(_summary(result))
        with self._harmless():
            self._run.log(_pictures(traces), commit=False)  # into the row that the table ends
        with self._harmless():
            if predictions:
                self._run.log(_table(predictions))
        self._exit_code = 0 if result.status == "done" else 1

    def __enter__(self) -> WandbTracker:
        return self

    def __exit__(self, *error: object) -> None:
        with self._harmless():
            self.problem = close_run(self._run, self._exit_code) or self.problem

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Record the first error as the problem and go on."""
        try:
            yield
        except Exception as error:
            if self.problem is None:
                self.problem = f"tracking failed ({type(error).__name__}: {one_line(error)})"


def _last_step(run: Any) -> float:
    """Last step already logged to W&B by an earlier attempt at this trial, or 0."""
    step = run.summary.get("step") if run.resumed else None
    return step if isinstance(step, int | float) else 0


def _summary(result: Result) -> dict[str, Any]:
    summary: dict[str, Any] = {"status": result.status, **figures_of(result)}
    told = {"converged": result.converged, "best_step": result.best_step}
    summary |= {name: value for name, value in told.items() if value is not None}
    if result.primary:
        summary["primary_name"] = result.primary.name
    if result.failure:
        summary["failure"] = result.failure.kind
        summary["failure_message"] = result.failure.message
    return summary


def _pictures(traces: Sequence[Trace]) -> dict[str, Any]:
    # One key each: a list of pictures has to be of one size.
    return {
        f"alignment {number}": wandb.Image(
            heatmap(trace), caption=f"{trace.subset} {trace.example} ({trace.mode})"
        )
        for number, trace in enumerate(traces[:_PICTURES], start=1)
    }


def _table(predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns: list[str | int] = list(_COLUMNS)
    rows: list[Iterable[Any]] = [
        [" | ".join(row[name]) if name == "references" else row[name] for name in _COLUMNS]
        for row in predictions[:_TABLE_ROWS]
    ]
    return {"predictions": wandb.Table(columns=columns, data=rows)}
