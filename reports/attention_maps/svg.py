"""Drawings as SVG text.

Inside a page the colours are the page's CSS variables; a file of its own carries them along.
All text and all attribute values are escaped here, whatever they came from.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from functools import lru_cache

from markupsafe import Markup, escape

from reports.attention_maps.drawing import (
    Box,
    Drawing,
    Group,
    Lines,
    Picture,
    Shape,
    Strip,
    Text,
    pictures,
)
from reports.figures.theme import FONT, css_variables
from reports.formats import clean

_UNIT = {"width": "1", "height": "1"}
#: Longer texts (whole pictures among them) are not remembered.
_SHORT = 64


def inline(drawing: Drawing) -> Markup:
    """The drawing as an element for a page that defines the palette."""
    return Markup(_element(drawing, style=""))


def document(drawing: Drawing) -> str:
    """The drawing as an SVG file of its own, in light and dark, without a background."""
    turned = any(picture.ink for picture in pictures(drawing.shapes))
    rules = css_variables() + (".ink{filter:var(--turn)}" if turned else "")
    style = f"<style>{rules}</style>{_shared([drawing])}"
    body = _element(drawing, style=style, extra={"xmlns": "http://www.w3.org/2000/svg"})
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def definitions(drawings: Iterable[Drawing]) -> Markup:
    """The bitmaps that some drawings of a page share, each once; "" where there are none."""
    shared = _shared(drawings)
    if not shared:
        return Markup("")
    return Markup(f'<svg class="unseen" width="0" height="0" aria-hidden="true">{shared}</svg>')


def _shared(drawings: Iterable[Drawing]) -> str:
    found = {
        picture.key: picture
        for drawing in drawings
        for picture in pictures(drawing.shapes)
        if picture.shared
    }
    images = "".join(_image(one, {"id": key, **_UNIT}) for key, one in found.items())
    return f"<defs>{images}</defs>" if images else ""


def _element(drawing: Drawing, *, style: str, extra: Mapping[str, str] | None = None) -> str:
    size = {
        **(extra or {}),
        "viewBox": f"0 0 {_n(drawing.width)} {_n(drawing.height)}",
        "width": _n(drawing.width),
        "height": _n(drawing.height),
        "role": "img",
        "aria-label": drawing.title,
        "font-family": FONT,
        **drawing.attributes,
    }
    described = f"<desc>{_text(drawing.description)}</desc>" if drawing.description else ""
    shapes = "".join(_shape(shape) for shape in drawing.shapes)
    return f"<svg{_attributes(size)}>{style}{described}{shapes}</svg>"


def _shape(shape: Shape) -> str:
    match shape:
        case Lines():
            return _lines(shape)
        case Box():
            return _box(shape)
        case Strip():
            return _strip(shape)
        case Picture():
            return _picture(shape)
        case Text():
            return _label(shape)
        case Group():
            return _group(shape)


def _lines(lines: Lines) -> str:
    data = "".join(f"M{_n(a)} {_n(b)}L{_n(c)} {_n(d)}" for (a, b), (c, d) in lines.segments)
    paint = {"stroke": f"var(--{lines.role})", "stroke-width": _n(lines.width)}
    return f"<path{_attributes({'d': data, **paint})}/>"


def _strip(strip: Strip) -> str:
    # Pages hold thousands of these: what the boxes share is said once.
    size = f'width="{_n(strip.width)}" height="{_n(strip.height)}"'
    boxes = "".join(
        f'<rect x="{_n(column * strip.width)}" {size} fill-opacity="{_n(opacity)}"/>'
        for column, opacity in strip.cells
    )
    place = {
        "class": "strip",
        "transform": f"translate({_n(strip.x)} {_n(strip.y)})",
        "fill": f"var(--{strip.role})",
    }
    return f"<g{_attributes(place)}>{boxes}</g>"


def _picture(picture: Picture) -> str:
    if picture.shared:
        place = f"translate({_n(picture.x)} {_n(picture.y)})"
        size = f"scale({_n(picture.width)} {_n(picture.height)})"
        return f"<use{_attributes({'href': f'#{picture.key}', 'transform': f'{place} {size}'})}/>"
    box = {"x": picture.x, "y": picture.y, "width": picture.width, "height": picture.height}
    return _image(picture, {name: _n(value) for name, value in box.items()})


def _image(picture: Picture, place: Mapping[str, str]) -> str:
    # The kind is read off the first byte, so that nothing but a bitmap is ever announced.
    kind = "png" if picture.data[:1] == b"\x89" else "jpeg"
    data = base64.b64encode(picture.data).decode("ascii")
    attributes = {**place, "preserveAspectRatio": "none"}
    if picture.ink:
        attributes["class"] = "ink"
    if picture.crisp:
        attributes["image-rendering"] = "pixelated"
    return f'<image{_attributes(attributes)} href="data:image/{kind};base64,{data}"/>'


def _box(box: Box) -> str:
    place = {"x": _n(box.x), "y": _n(box.y), "width": _n(box.width), "height": _n(box.height)}
    if box.outline:
        paint = {
            "fill": "none",
            "stroke": f"var(--{box.role})",
            "stroke-width": _n(box.outline),
        }
    else:
        paint = {"fill": f"var(--{box.role})"}
        if box.opacity < 1:
            paint["fill-opacity"] = _n(box.opacity)
    return f"<rect{_attributes({**place, **paint})}{_closed('rect', box.title)}"


def _label(label: Text) -> str:
    attributes = {
        "x": _n(label.x),
        "y": _n(label.y),
        "fill": f"var(--{label.role})",
        "font-size": _n(label.size),
    }
    if label.anchor != "start":
        attributes["text-anchor"] = label.anchor
    if label.turn:
        attributes["transform"] = f"rotate({_n(label.turn)} {_n(label.x)} {_n(label.y)})"
    if label.bold:
        attributes["font-weight"] = "600"
    return f"<text{_attributes({**attributes, **label.attributes})}>{_text(label.text)}</text>"


def _group(group: Group) -> str:
    moved = {}
    if group.dx or group.dy:
        moved["transform"] = f"translate({_n(group.dx)} {_n(group.dy)})"
    named = f"<title>{_text(group.title)}</title>" if group.title else ""
    inside = named + "".join(_shape(shape) for shape in group.shapes)
    return f"<g{_attributes({**moved, **group.attributes})}>{inside}</g>"


def _closed(tag: str, title: str) -> str:
    return f"><title>{_text(title)}</title></{tag}>" if title else "/>"


def _attributes(attributes: Mapping[str, str]) -> str:
    return "".join(f' {name}="{_text(value)}"' for name, value in attributes.items())


def _text(text: str) -> str:
    return _short_text(text) if len(text) < _SHORT else str(escape(clean(text)))


@lru_cache(maxsize=1 << 14, typed=True)  # the same few colours, names and places fill all figures
def _short_text(text: str) -> str:
    return str(escape(clean(text)))


@lru_cache(maxsize=1 << 14)
def _n(number: float) -> str:
    """Two decimals at most: pages stay small, and nobody sees a hundredth of a pixel."""
    return f"{number:.2f}".rstrip("0").rstrip(".") or "0"
