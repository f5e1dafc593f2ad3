"""A hub of our own on the loopback interface."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import pytest
from loopback import serving

from tasks import download as downloads


@dataclass
class Hub:
    """A server's files by path, and how it misbehaves.

    Attributes:
        commit: named in every redirect, as the hub does.
        cut: how many bytes of each reply are sent before the connection breaks; one per request.
        refuse: status codes sent instead of a reply; one per request.
        etag: of every file; None sends none.
        redirects: addresses sent instead of files.
        seen: the path and Range header of every request.
    """

    endpoint: str = ""
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    files: dict[str, bytes] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    etag: str | None = '"one"'
    redirects: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"{self.endpoint}/{name}"


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            hub.seen.append((path, self.headers.get("Range")))
            if hub.refuse:
                self.send_error(hub.refuse.pop(0))
            elif path in hub.redirects:
                self.send_response(302)
                self.send_header("Location", hub.redirects[path])
                self.send_header("X-Repo-Commit", hub.commit)
                self.end_headers()
            elif path not in hub.files:
                self.send_error(404)
            else:
                self._send(hub.files[path])

        def _send(self, body: bytes) -> None:
            wanted, same = self.headers.get("Range"), self.headers.get("If-Range") == hub.etag
            begin = int(wanted.split("=")[1].rstrip("-")) if wanted and same else 0
            if begin > len(body):
                self.send_error(416)
                return
            self.send_response(206 if wanted and same else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            if hub.etag:
                self.send_header("ETag", hub.etag)
            self.end_headers()
            sent = body[begin:]
            if hub.cut:
                sent = sent[: hub.cut.pop(0)]
                self.close_connection = True
            self.wfile.write(sent)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def loopback_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The server, as long as the context lasts; downloads try again without a pause."""
    monkeypatch.setattr(downloads, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    hub = Hub()
    with serving(handler_of(hub)) as hub.endpoint:
        yield hub
