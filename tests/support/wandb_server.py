"""As much of W&B's server as its client needs to log runs and artifacts, on the loopback interface.

The client asks by GraphQL (runs, addresses for uploads, artifacts), streams history and summary as
lines of JSON files, and uploads all else with PUT. What it sent is kept as it came; a question that
is not known here is answered with no data and kept in `unknown`.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import quote, unquote

from loopback import serving

ENTITY = "tester"
KEY = "0123456789abcdef0123456789abcdef01234567"
_OPERATION = re.compile(r"\s*(?:query|mutation)\s+(\w+)")
_STREAM = re.compile(r"/files/[^/]+/[^/]+/([^/]+)/file_stream")


@dataclass
class ReceivedRun:
    """What one run sent.

    Attributes:
        fields: as `UpsertBucket` named them (groupName, jobType, displayName, tags, ...), the last
            word on each.
        lines: of each streamed file, by their place in it.
        files: uploaded, by name.
        exit_code: None while the run is not complete.
    """

    id: str
    fields: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    exit_code: int | None = None

    @property
    def config(self) -> dict[str, Any]:
        told = json.loads(self.fields.get("config") or "{}")
        return {name: item["value"] for name, item in told.items() if name != "_wandb"}

    @property
    def history(self) -> list[dict[str, Any]]:
        lines = self.lines.get("wandb-history.jsonl", {})
        return [json.loads(lines[place]) for place in sorted(lines)]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.lines.get("wandb-summary.json", {})
        return json.loads(lines[0]) if lines else {}


@dataclass
class ReceivedArtifact:
    """An artifact: what it was announced with, its manifest, and the files that were uploaded."""

    fields: dict[str, Any]
    manifest: dict[str, Any] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    committed: bool = False

    @property
    def name(self) -> str:
        return str(self.fields["artifactCollectionName"])

    @property
    def type(self) -> str:
        return str(self.fields["artifactTypeName"])


@dataclass
class WandbServer:
    """What arrived, and how the server misbehaves.

    Attributes:
        broken: once it is true of what is asked (a GraphQL operation, `file_stream`, `upload` or
            a path), that and all later requests get status 500.
        refuses: that this has happened.
        asked: every request, in order.
        unknown: GraphQL operations that are not served here.
        errors: of this server itself.
    """

    address: str = ""
    runs: dict[str, ReceivedRun] = field(default_factory=dict)
    artifacts: dict[str, ReceivedArtifact] = field(default_factory=dict)
    broken: Callable[[str], bool] = lambda asked: False
    refuses: bool = False
    asked: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def environment(self) -> dict[str, str]:
        """For processes that are to use this server."""
        return {"WANDB_BASE_URL": self.address, "WANDB_API_KEY": KEY, "no_proxy": "*"}

    def heal(self) -> None:
        """Serve again."""
        self.broken, self.refuses = lambda asked: False, False

    def run(self, id: str) -> ReceivedRun:
        return self.runs.setdefault(id, ReceivedRun(id))

    def answer(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        """The data of a GraphQL answer."""
        if operation not in _ANSWERS:
            self.unknown.append(operation)
            return {}
        return _ANSWERS[operation](self, variables)

    def stream(self, id: str, body: dict[str, Any]) -> None:
        run = self.run(id)
        for name, part in body.get("files", {}).items():
            lines = run.lines.setdefault(name, {})
            lines.update(enumerate(part["content"], start=part["offset"]))
        if body.get("complete"):
            run.exit_code = body["exitcode"]

    def upload(self, kind: str, id: str, name: str, body: bytes) -> None:
        if kind == "run":
            self.run(id).files[name] = body
        elif kind == "manifest":
            self.artifacts[id].manifest = json.loads(body)
        else:
            self.artifacts[id].files[name] = body

    def upload_address(self, kind: str, id: str, name: str) -> str:
        return f"{self.address}/upload/{kind}/{id}/{quote(name, safe='')}"


def _viewer(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    viewer = {"id": "1", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}"}
    return {"viewer": {**viewer, "teams": {"edges": []}}}


def _features(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    return {"serverInfo": {"features": []}}


def _resume_status(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    """What a run that resumes goes on from. One that does not overwrites, since `UpsertBucket`
    tells of no lines."""
    project = {"id": "1", "name": variables["project"], "entity": {"id": "1", "name": ENTITY}}
    run = server.runs.get(variables["name"])
    return {"model": {**project, "bucket": None if run is None else _resumed(run)}}


def _resumed(run: ReceivedRun) -> dict[str, Any]:
    tail = [json.dumps(row) for row in run.history[-1:]]
    bucket = {"id": run.id, "name": run.id, "displayName": run.fields["displayName"]}
    bucket |= {"summaryMetrics": json.dumps(run.summary), "config": run.fields["config"]}
    bucket |= {"historyLineCount": len(run.history), "historyTail": json.dumps(tail)}
    bucket |= {"eventsLineCount": 0, "eventsTail": "[]", "logLineCount": 0, "notes": None}
    return {**bucket, "tags": run.fields["tags"], "wandbConfig": json.dumps({"t": {"1": 1}})}


def _artifact_type(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    """Of the artifact with this name, by which the client sees that its type stays the same."""
    name = variables["name"].split(":")[0]
    types = [one.type for one in server.artifacts.values() if one.name == name]
    found = {"artifactType": {"name": types[-1]}} if types else None
    return {"project": {"artifact": found}}


def _upsert_run(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    inserted = variables["name"] not in server.runs
    run = server.run(variables["name"])
    run.fields |= {name: value for name, value in variables.items() if value is not None}
    project = {"id": "1", "name": variables["project"], "entity": {"id": "1", "name": ENTITY}}
    bucket = {"id": run.id, "name": run.id, "displayName": run.fields.get("displayName")}
    bucket |= {"description": None, "config": run.fields.get("config"), "sweepName": None}
    bucket |= {"project": project, "historyLineCount": None}
    return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}


def _run_files(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    run = variables["run"]
    files = [
        {"name": name, "uploadUrl": server.upload_address("run", run, name)}
        for name in variables["files"]
    ]
    return {"createRunFiles": {"runID": run, "uploadHeaders": [], "files": files}}


def _artifact(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    id = f"artifact{len(server.artifacts)}"
    server.artifacts[id] = ReceivedArtifact(variables["input"])
    sequence = {"latestArtifact": None}
    created = {"id": id, "state": "PENDING", "artifactSequence": sequence}
    return {"createArtifact": {"artifact": created}}


def _artifact_files(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    edges = []
    for one in variables["input"]["artifactFiles"]:
        id, name = one["artifactID"], one["name"]
        node = {"storagePath": name, "uploadUrl": server.upload_address("artifact", id, name)}
        node |= {"uploadHeaders": [], "uploadMultipartUrls": None, "artifact": {"id": id}}
        edges.append({"node": node})
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _artifact_manifest(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    id = variables["artifactID"]
    url = server.upload_address("manifest", id, variables["name"])
    manifest = {"id": id, "file": {"id": id, "uploadUrl": url, "uploadHeaders": []}}
    return {"createArtifactManifest": {"artifactManifest": manifest}}


def _commit(server: WandbServer, variables: dict[str, Any]) -> dict[str, Any]:
    artifact = server.artifacts[variables["artifactID"]]
    artifact.committed = True
    told = {"id": variables["artifactID"], "digest": artifact.fields["digest"]}
    return {"commitArtifact": {"artifact": told}}


_ANSWERS: dict[str, Callable[[WandbServer, dict[str, Any]], dict[str, Any]]] = {
    "Viewer": _viewer,
    "ServerFeaturesQuery": _features,
    "RunResumeStatus": _resume_status,
    "UpsertBucket": _upsert_run,
    "ArtifactType": _artifact_type,
    "CreateRunFiles": _run_files,
    "CreateArtifact": _artifact,
    "CreateArtifactFiles": _artifact_files,
    "CreateArtifactManifest": _artifact_manifest,
    "CommitArtifact": _commit,
}


def _handler_of(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # the client keeps its connections

        def do_POST(self) -> None:
            body = self._body()
            stream = _STREAM.fullmatch(self.path)
            if self.path == "/graphql":
                question = json.loads(body)
                found = _OPERATION.match(question["query"])
                operation = found.group(1) if found else "Viewer"  # as `bench.tracking` asks
                variables = question.get("variables") or {}
                self._serve(operation, lambda: {"data": server.answer(operation, variables)})
            elif stream:
                self._serve("file_stream", lambda: server.stream(stream.group(1), json.loads(body)))
            else:
                self._serve(f"POST {self.path}", None)

        def do_PUT(self) -> None:
            body = self._body()
            kind, id, name = self.path.removeprefix("/upload/").split("/")
            self._serve("upload", lambda: server.upload(kind, id, unquote(name), body))

        def do_GET(self) -> None:
            self._serve(f"GET {self.path}", None)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(self._chunks())
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

        def _chunks(self) -> Iterator[bytes]:
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()

        def _serve(self, asked: str, work: Callable[[], dict[str, Any] | None] | None) -> None:
            with server.lock:
                server.asked.append(asked)
                server.refuses = server.refuses or server.broken(asked)
                status, answer = (500 if server.refuses else 404 if work is None else 200), None
                if status == 200 and work is not None:
                    try:
                        answer = work()
                    except Exception:
                        status = 400  # is not tried again
                        server.errors.append(traceback.format_exc())
            told = json.dumps(answer or {}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *args: object) -> None:
            """Tests are quiet."""

    return Handler


@contextmanager
def wandb_server() -> Iterator[WandbServer]:
    """The server, as long as the context lasts."""
    state = WandbServer()
    with serving(_handler_of(state)) as state.address:
        yield state
