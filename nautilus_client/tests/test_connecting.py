"""Where the client connects to, with what, and when it gives up."""

import threading
from http import HTTPStatus
from typing import Any

import pytest

from nautilus_client import AccessRefusedError, ClientClosedError, UnreachableError
from nautilus_client.pace import Pace
from nautilus_client.reconnecting import Backoff, socket_urls
from nautilus_client.tests.reading import seqs, take
from nautilus_client.tests.scripted import Peer


def one_message(peer: Peer) -> None:
    peer.accept()
    peer.publish(1)
    peer.stay()


class Tokens:
    """Counts the attempts: each one asks for a token."""

    def __init__(self) -> None:
        self.given = 0
        self.second = threading.Event()

    def __call__(self) -> str:
        self.given += 1
        if self.given == 2:
            self.second.set()
        return f"token-{self.given}"


@pytest.mark.parametrize("code", [4401, 4403, 4404])
def test_refused_credentials_end_the_client_and_say_so(serve: Any, open_client: Any, code: int):
    server = serve(lambda peer: peer.close(code))
    client = open_client(server.url)
    with pytest.raises(AccessRefusedError, match=f"{code}.*for this test") as refused:
        client.subscribe("news")
    assert (refused.value.code, server.connections) == (code, 1)
    with pytest.raises(AccessRefusedError):
        client.subscribe("sports")


def test_credentials_that_are_revoked_later_end_the_reading(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.close(4401)

    news = open_client(serve(script).url).subscribe("news")
    assert seqs(take(news, 1)) == [1]
    with pytest.raises(AccessRefusedError):
        news.receive(10)


def test_token_that_expires_is_fetched_anew_and_ends_the_client_when_the_new_one_is_refused(
    serve: Any, open_client: Any
):
    def expiring(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.close(4401)

    tokens = Tokens()
    news = open_client(serve(expiring, lambda peer: peer.close(4401)).url, token=tokens).subscribe("news")
    assert seqs(take(news, 1)) == [1]
    with pytest.raises(AccessRefusedError):
        news.receive(10)
    assert tokens.given == 2


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND])
def test_refused_handshake_ends_the_client(serve: Any, open_client: Any, status: HTTPStatus):
    with pytest.raises(AccessRefusedError) as refused:
        open_client(serve(refuse_with=status).url).subscribe("news")
    assert refused.value.code == status


def test_server_that_starts_later_is_waited_for(serve: Any, open_client: Any, dead_port: int):
    tokens = Tokens()
    client = open_client(f"ws://127.0.0.1:{dead_port}", token=tokens)
    assert tokens.second.wait(10)
    serve(one_message, port=dead_port)
    assert seqs(take(client.subscribe("news"), 1)) == [1]


def test_limit_of_retries_ends_the_client(open_client: Any, dead_port: int):
    tokens = Tokens()
    client = open_client(f"ws://127.0.0.1:{dead_port}", token=tokens, retries=2)
    with pytest.raises(UnreachableError, match="3 attempts in a row"):
        client.subscribe("news")
    assert tokens.given == 3


def test_connection_that_worked_does_not_count_against_the_limit(serve: Any, open_client: Any):
    def script(peer: Peer) -> None:
        peer.accept()
        peer.break_off()

    client = open_client(serve(script, script, script, one_message).url, retries=1)
    assert seqs(take(client.subscribe("news"), 1)) == [1]


def test_next_address_is_tried_after_a_failure(serve: Any, open_client: Any, dead_port: int):
    def first_script(peer: Peer) -> None:
        peer.accept()
        peer.publish(1)
        peer.break_off()

    def second_script(peer: Peer) -> None:
        assert peer.accept(2)["since"] == 1
        peer.publish(2)
        peer.stay()

    first, second = serve(first_script), serve(second_script)
    client = open_client([f"ws://127.0.0.1:{dead_port}", first.url, second.url])
    assert seqs(take(client.subscribe("news"), 2)) == [1, 2]


def test_token_is_fetched_anew_for_each_connection(serve: Any, open_client: Any):
    seen = []

    def script(peer: Peer) -> None:
        seen.append(peer.authorization)
        peer.accept()
        peer.close(1012)

    def last(peer: Peer) -> None:
        seen.append(peer.authorization)
        one_message(peer)

    take(open_client(serve(script, last).url, token=Tokens()).subscribe("news"), 1)
    assert seen == ["Bearer token-1", "Bearer token-2"]


def test_ticket_stands_in_the_address(serve: Any, open_client: Any):
    paths = []

    def script(peer: Peer) -> None:
        paths.append(peer.path)
        one_message(peer)

    async def ticket() -> str:
        return "a&b"

    take(open_client(serve(script).url, ticket=ticket).subscribe("news"), 1)
    assert paths == ["/ws?ticket=a%26b"]


def test_token_that_cannot_be_fetched_is_fetched_again(serve: Any, open_client: Any):
    answers = iter([RuntimeError("the server restarts"), "good"])

    def token() -> str:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert seqs(take(open_client(serve(one_message).url, token=token).subscribe("news"), 1)) == [1]


def test_proxy_of_the_environment_is_not_asked(serve: Any, open_client: Any, monkeypatch: pytest.MonkeyPatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert seqs(take(open_client(serve(one_message).url).subscribe("news"), 1)) == [1]


def test_client_that_was_closed_ends_its_subscriptions_and_takes_no_new_ones(serve: Any, open_client: Any):
    client = open_client(serve(one_message).url)
    news = client.subscribe("news")
    assert seqs(take(news, 1)) == [1]
    client.close()
    assert news.receive(10) is None
    with pytest.raises(ClientClosedError):
        client.subscribe("sports")


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("ws://host:8001", "ws://host:8001/ws"),
        ("http://host:8001/", "ws://host:8001/ws"),
        ("https://host/ws", "wss://host/ws"),
        ("wss://host/behind/a/proxy", "wss://host/behind/a/proxy/ws"),
    ],
)
def test_address_of_a_server_gives_its_socket(url: str, socket: str):
    assert socket_urls(url) == [socket]


@pytest.mark.parametrize("url", ["", "localhost:8001", "ftp://host", "ws://", []])
def test_what_is_no_address_is_refused_at_once(open_client: Any, url: Any):
    with pytest.raises(ValueError, match=r"expected e\.g\. 'ws://localhost:8001'"):
        open_client(url)


def test_frames_are_free_up_to_a_number_at_once_and_then_evenly_spaced():
    pace = Pace(per_second=4, at_once=3)
    assert [pace.delay_seconds(now=100.0) for _ in range(5)] == [0, 0, 0, 0.25, 0.5]
    assert [pace.delay_seconds(now=110.0) for _ in range(4)] == [0, 0, 0, 0.25]


def test_delays_grow_at_random_up_to_their_bound_and_stay_there():
    backoff = Backoff(0.2, 10.0)
    delays = [backoff.next_delay_seconds() for _ in range(2_000)]
    assert all(delay <= min(10.0, 0.2 * 2**place) for place, delay in enumerate(delays[:10]))
    assert max(delays) > 9.9
    assert min(delays[10:]) < 0.1
