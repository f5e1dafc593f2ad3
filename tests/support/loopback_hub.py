"""A hub of our own on the loopback interface."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

import pytest
from loopback import serving

from tasks.data import download as downloads

API = re.compile(r"api/datasets/([^/]+/[^/]+)/revision/([^/?]+)")
RESOLVE = re.compile(r"datasets/([^/]+/[^/]+)/resolve/([^/]+)/([^?]+)")


@dataclass
class Hub:
    """A server's files by path, data sets as the hub serves them, and how it misbehaves.

    Attributes:
        commit: what every revision stands for.
        datasets: names and contents of files, by identifier and revision. The hub sends on to where
            the contents lie, at another host (this machine by another name), as it does for large
            files.
        cut: how many bytes of each reply are sent before the connection breaks; one per request.
        refuse: status codes sent instead of a reply, 0 for none; one per request.
        etag: of every file; None sends none.
        redirects: addresses sent instead of files.
        seen: the path and Range header of every request but HEAD.
        tokens: the authorization of every request, HEAD too; "" where there is none.
    """

    endpoint: str = ""
    commit: str = "0123456789abcdef0123456789abcdef01234567"
    files: dict[str, bytes] = field(default_factory=dict)
    datasets: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    cut: list[int] = field(default_factory=list)
    refuse: list[int] = field(default_factory=list)
    etag: str | None = '"one"'
    redirects: dict[str, str] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    def dataset(self, identifier: str, revision: str) -> dict[str, bytes] | None:
        """The files of a data set at a branch or commit; None if there is no such revision."""
        found = self.datasets.get((identifier, unquote(revision)))
        if found is None and revision == self.commit:
            named = [files for (name, _), files in self.datasets.items() if name == identifier]
            found = {name: body for files in named for name, body in files.items()}
        return found

    def url(self, name: str) -> str:
        return f"{self.endpoint}/{name}"


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(self.path.lstrip("/"))

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            hub.seen.append((path, self.headers.get("Range")))
            self._answer(path)

        def _answer(self, path: str) -> None:
            hub.tokens.append(self.headers.get("Authorization") or "")
            if hub.refuse and (status := hub.refuse.pop(0)):
                self.send_error(status)
            elif path in hub.redirects:
                self.send_response(302)
                self.send_header("Location", hub.redirects[path])
                self.end_headers()
            elif asked := API.match(path):
                self._describe(*asked.groups())
            elif asked := RESOLVE.fullmatch(path):
                self._resolve(*asked.groups())
            elif path not in hub.files:
                self.send_error(404)
            else:
                self._send(hub.files[path])

        def _describe(self, identifier: str, revision: str) -> None:
            files = hub.dataset(identifier, revision)
            if files is None:
                self._refuse("RevisionNotFound")
                return
            siblings = [{"rfilename": name, "size": len(body)} for name, body in files.items()]
            text = {"id": identifier, "sha": hub.commit, "siblings": siblings}
            self._send(json.dumps(text).encode())

        def _resolve(self, identifier: str, revision: str, name: str) -> None:
            body = (hub.dataset(identifier, revision) or {}).get(unquote(name))
            if body is None:
                self._refuse("EntryNotFound")
                return
            digest = hashlib.sha256(body).hexdigest()
            hub.files[f"blobs/{digest}"] = body
            self.send_response(302)
            elsewhere = hub.endpoint.replace("127.0.0.1", "localhost")
            self.send_header("Location", f"{elsewhere}/blobs/{digest}")
            self.send_header("X-Repo-Commit", hub.commit)
            self.send_header("X-Linked-Size", str(len(body)))
            self.send_header("X-Linked-ETag", f'"{digest}"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _refuse(self, code: str) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _send(self, body: bytes) -> None:
            wanted = self.headers.get("Range")
            same = self.headers.get("If-Range") in (None, hub.etag)
            begin = int(wanted.split("=")[1].rstrip("-")) if wanted and same else 0
            if begin > len(body):
                self.send_error(416)
                return
            self.send_response(206 if wanted and same else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
            if hub.etag:
                self.send_header("ETag", hub.etag)
            self.end_headers()
            sent = body[begin:]
            if hub.cut and self.command == "GET":
                sent = sent[: hub.cut.pop(0)]
                self.close_connection = True
            if self.command == "GET":
                self.wfile.write(sent)

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@contextmanager
def loopback_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The server, as long as the context lasts; downloads try again without a pause."""
    monkeypatch.setattr(downloads, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    hub = Hub()
    with serving(handler_of(hub)) as hub.endpoint:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub
