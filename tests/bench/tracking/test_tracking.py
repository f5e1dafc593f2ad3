from __future__ import annotations

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from fake_trials import fake_cell, fake_result

from bench.tracking import NullTracker, decide, open_tracker, wandb_mode

KEY = "0123456789abcdef0123456789abcdef01234567"


class Server(ThreadingHTTPServer):
    """Answers as W&B's does to whoever asks who he is; `answer` None never answers."""

    answer: tuple[int, object] | None = (200, {"data": {"viewer": {"id": "x"}}})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.answer is None:
            time.sleep(3)
            return
        expected = "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode()
        status, body = self.server.answer
        self.send_response(status if self.headers["Authorization"] == expected else 401)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield server
    server.shutdown()


@pytest.mark.parametrize("request_", ["offline", "off"])
def test_what_is_asked_for_is_done(request_: str) -> None:
    assert decide(request_, {"WANDB_API_KEY": KEY}).mode == request_


@pytest.mark.parametrize("request_", ["auto", "online"])
def test_no_key_is_offline_at_once(request_: str, tmp_path: Path) -> None:
    decision = decide(request_, {"HOME": str(tmp_path)})
    assert (decision.mode, decision.reason) == ("offline", "no W&B key is set")


def test_a_key_and_a_server_that_knows_it_is_online(server: Server) -> None:
    environment = {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.address}
    assert decide("auto", environment).mode == "online"
    assert decide("online", environment).mode == "online"


def test_a_key_in_netrc_counts(server: Server, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login user password {KEY}\n")
    environment = {"HOME": str(tmp_path), "WANDB_BASE_URL": server.address}
    assert decide("auto", environment).mode == "online"
    elsewhere = tmp_path / "other"
    (tmp_path / ".netrc").rename(elsewhere)
    assert decide("auto", environment).mode == "offline"
    assert decide("auto", {**environment, "NETRC": str(elsewhere)}).mode == "online"


def test_a_broken_netrc_is_no_key(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine")
    assert decide("auto", {"HOME": str(tmp_path)}).mode == "offline"


@pytest.mark.parametrize(
    ("key", "answer", "said"),
    [
        ("wrong", (200, {}), "refuses the key (401)"),
        (KEY, (200, {"data": {"viewer": None}}), "does not know the key"),
        (KEY, (200, ["nonsense"]), "cannot be reached"),
        (KEY, (503, {}), "does not work (503)"),
    ],
)
def test_a_server_that_does_not_want_us_is_offline(
    server: Server, key: str, answer: tuple[int, object], said: str
) -> None:
    server.answer = answer
    decision = decide("online", {"WANDB_API_KEY": key, "WANDB_BASE_URL": server.address})
    assert decision.mode == "offline"
    assert said in decision.reason
    assert "wandb sync" in decision.reason


def test_no_network_is_offline() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    decision = decide("auto", {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": address})
    assert decision.mode == "offline"
    assert "cannot be reached" in decision.reason


def test_a_server_that_never_answers_is_not_waited_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_mode, "_PATIENCE_SECONDS", 0.2)
    server.answer = None
    decision = decide("auto", {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server.address})
    assert decision.mode == "offline"


@pytest.mark.parametrize(("preset", "mode"), [("disabled", "off"), ("offline", "offline")])
def test_the_users_environment_is_heeded(preset: str, mode: str) -> None:
    environment = {"WANDB_API_KEY": KEY, "WANDB_MODE": preset}
    assert decide("auto", environment).mode == mode


def test_off_tracks_nothing(tmp_path: Path) -> None:
    with open_tracker("off", fake_cell(1), tmp_path / "w") as tracker:
        tracker.log(1, {"loss": 1.0})
        tracker.finish(fake_result(fake_cell(1)))
    assert isinstance(tracker, NullTracker)
    assert tracker.problem is None
    assert not (tmp_path / "w").exists()


def test_tracking_that_cannot_start_is_noted_and_harmless(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with open_tracker("offline", fake_cell(1), tmp_path / "file" / "w") as tracker:
        tracker.log(1, {"loss": 1.0})
        tracker.finish(fake_result(fake_cell(1)))
    assert isinstance(tracker, NullTracker)
    assert "NotADirectoryError" in (tracker.problem or "")


@pytest.mark.parametrize(
    "server", ["nonsense", "ftp://x", "http://[::1", "http://a b", "http://x:y"]
)
def test_an_address_that_is_none_is_offline(server: str, tmp_path: Path) -> None:
    decision = decide("online", {"WANDB_API_KEY": KEY, "WANDB_BASE_URL": server})
    assert decision.mode == "offline" and "cannot be reached" in decision.reason


@pytest.mark.parametrize("content", [b"\xff\xfe", b"machine", b"machine x login y password\n"])
def test_a_netrc_that_cannot_be_read_holds_no_key(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_bytes(content)
    for environment in ({"HOME": str(tmp_path)}, {"NETRC": "~nobody-knows/x"}):
        assert decide("auto", environment).reason == "no W&B key is set"
