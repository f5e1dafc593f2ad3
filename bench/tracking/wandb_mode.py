"""The mode of Weights & Biases: whether it can be used, found out once for all trials. Imports no
W&B."""

from __future__ import annotations

import base64
import json
import netrc
import os
import shlex
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal, cast
from urllib.parse import urlparse

#: What a user may ask for; "auto" is online with a key and a network, offline otherwise.
REQUESTS = ("auto", "online", "offline", "off")

_SERVER = "https://api.wandb.ai"
_PATIENCE_SECONDS = 6.0


Mode = Literal["online", "offline", "off"]


@dataclass(frozen=True)
class Decision:
    """The mode in which trials are tracked, and the reason in words for the user."""

    mode: Mode
    reason: str


def sync_command(folder: Path) -> str:
    """The command that uploads what a store's runs have left on disk, below `Store.wandb`."""
    return f"wandb sync {shlex.quote(str(folder / 'wandb'))}"


def decide(
    request: str, environment: Mapping[str, str] | None = None, *, folder: Path | None = None
) -> Decision:
    """Choose how to track, once for all trials; takes a few seconds at most and never raises.

    Online needs a key (WANDB_API_KEY or netrc) that the server answers to. W&B itself would wait
    for minutes where there is no network, in every trial.

    Args:
        request: one of REQUESTS. "online" without an answering server is offline with a reason.
        environment: os.environ unless given. WANDB_MODE and WANDB_BASE_URL are heeded.
        folder: of the runs to come (`Store.wandb`), for the command that uploads them later.
    """
    environment = os.environ if environment is None else environment
    assert request in REQUESTS, request
    if request in ("offline", "off"):
        return Decision(cast(Mode, request), "as asked")
    preset = environment.get("WANDB_MODE", "online")
    if request == "auto" and preset != "online":
        mode: Mode = "off" if preset == "disabled" else "offline"
        return Decision(mode, f"WANDB_MODE is {preset}")
    server = environment.get("WANDB_BASE_URL", _SERVER).rstrip("/")
    key = environment.get("WANDB_API_KEY") or _netrc_key(server, environment)
    if not key:
        return Decision("offline", "no W&B key is set")
    refusal = _refusal(server, key)
    if refusal:
        command = "wandb sync" if folder is None else sync_command(folder)
        return Decision("offline", f"{refusal}; `{command}` uploads later")
    return Decision("online", f"a key is set and {server} answers")


def _netrc_key(server: str, environment: Mapping[str, str]) -> str | None:
    path = Path(environment.get("NETRC") or Path(environment.get("HOME") or "~") / ".netrc")
    try:
        found = netrc.netrc(path.expanduser()).authenticators(urlparse(server).hostname or "")
    except (OSError, ValueError, RuntimeError, netrc.NetrcParseError):  # among others, no home
        return None
    return found[2] if found else None


def _refusal(server: str, key: str) -> str | None:
    """Return why this server cannot be used with this key, or None if it can."""
    answer: list[str | None] = []
    # In a thread of its own, because looking up a name can take longer than any timeout we set.
    ask = threading.Thread(target=lambda: answer.append(_ask(server, key)), daemon=True)
    ask.start()
    ask.join(_PATIENCE_SECONDS)
    return answer[0] if answer else f"{server} does not answer"


def _ask(server: str, key: str) -> str | None:
    token = base64.b64encode(f"api:{key}".encode()).decode()
    query = json.dumps({"query": "query { viewer { id } }"}).encode()
    headers = {"Content-Type": "application/json", "Authorization": f"Basic {token}"}
    try:
        question = urllib.request.Request(f"{server}/graphql", data=query, headers=headers)
        with urllib.request.urlopen(question, timeout=_PATIENCE_SECONDS - 1) as response:
            viewer = json.load(response)["data"]["viewer"]
    except urllib.error.HTTPError as error:
        answer = "refuses the key" if error.code in (401, 403) else "does not work"
        return f"{server} {answer} ({error.code})"
    except (OSError, HTTPException, ValueError, KeyError, TypeError):
        return f"{server} cannot be reached"
    return None if viewer else f"{server} does not know the key"
