"""`python -m nautilus_client`, as a person types it."""

import json
import subprocess
import sys
from typing import Any

from nautilus_client.tests.scripted import Peer


def tail(*arguments: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "nautilus_client", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_messages_and_gaps_are_printed_one_a_line(serve: Any):
    def script(peer: Peer) -> None:
        assert peer.authorization == "Bearer secret"
        asked = {"type": "subscribe", "topic": "news", "filters": {"a": 1}, "since": 3, "epoch": "e1"}
        assert peer.accept(5, recovered=False) == asked
        peer.publish(6, data={"a": 1})
        peer.stay()

    url = serve(script).url
    options = ["--filters", '{"a": 1}', "--since", "3", "--epoch", "e1", "--token", "secret", "--count", "2"]
    ran = tail(url, "news", *options)
    lost, message = (json.loads(line) for line in ran.stdout.splitlines())
    assert lost == {"gap": "history_lost", "topic": "news", "seq": 5, "epoch": "e1"}
    assert (message["topic"], message["seq"], message["data"]) == ("news", 6, {"a": 1})
    assert (ran.returncode, ran.stderr) == (0, "")


def test_refusal_is_one_line_and_status_one(serve: Any):
    def script(peer: Peer) -> None:
        peer.refuse("not_found")
        peer.stay()

    ran = tail(serve(script).url, "secret")
    assert (ran.returncode, ran.stdout, ran.stderr) == (1, "", "not_found: not_found for this test\n")


def test_filters_that_are_no_object_are_a_wrong_call():
    ran = tail("ws://127.0.0.1:9", "news", "--filters", "[1]")
    assert ran.returncode == 2
    assert "[1] is no JSON object" in ran.stderr
