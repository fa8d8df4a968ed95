"""Celery's transport when Redis goes away under it: it says so at once, ends no worker, and follows the primary."""

import logging
from pathlib import Path

import pytest
from celery import Celery
from django.conf import settings
from django.test import override_settings
from kombu import Message, Queue
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError

from nautilus.connections import redis_client
from nautilus.promotion import plan_promotion
from nautilus.redis_url import parse_redis_url
from nautilus.tests.redis_servers import PASSWORD, replicated

QUEUE = "test_broker_queue"


def app_on(url: str) -> Celery:
    app = Celery("broker-test", set_as_current=False)
    app.conf.update(
        broker_url=url,
        broker_transport=settings.CELERY_BROKER_TRANSPORT,
        broker_transport_options=settings.CELERY_BROKER_TRANSPORT_OPTIONS,
    )
    return app


def take_one(app: Celery, channel: object) -> Message:
    """Leaves a message with the channel that is not acknowledged."""
    queue = Queue(QUEUE, channel=channel)
    queue.declare()
    with app.producer_pool.acquire() as producer:
        producer.publish({"n": 1}, routing_key=QUEUE)
    message = queue.get()
    assert message is not None
    return message


def test_channel_that_holds_messages_is_closed_without_an_error_once_its_connection_is_lost():
    app = app_on(settings.REDIS_URL)
    connection = app.connection_for_read()
    channel = connection.default_channel
    take_one(app, channel)
    # As it was found in a worker whose Redis had gone: its transport let go, its pools closed, its messages held.
    channel._disconnect_pools()
    connection._do_close_transport()

    channel.qos.restore_unacked_once()

    assert not channel.qos._delivered
    redis_client().delete(QUEUE)


def test_job_that_ends_after_its_connection_was_lost_ends_no_worker():
    app = app_on(settings.REDIS_URL)
    connection = app.connection_for_read()
    channel = connection.default_channel
    message = take_one(app, channel)
    # As it was found in a worker that had connected anew: the old channel closed, and its pools.
    channel._disconnect_pools()
    channel.connection = None

    # What Celery acknowledges by: it logs the loss of a connection, and no other error.
    message.ack_log_error(logging.getLogger("broker-test"), connection.connection_errors)

    assert not message.acknowledged
    channel.qos._delivered.clear()  # or they are given back when this process ends
    redis_client().delete(QUEUE)


def test_messages_are_given_back_when_a_worker_ends_in_order():
    app = app_on(settings.REDIS_URL)
    connection = app.connection_for_read()
    take_one(app, connection.default_channel)
    assert redis_client().llen(QUEUE) == 0

    connection.close()

    assert redis_client().llen(QUEUE) == 1
    redis_client().delete(QUEUE)


def test_subscription_that_was_cut_raises_and_does_not_wait_on_a_new_connection():
    subscription = app_on(settings.REDIS_URL).connection_for_read().channel().subclient
    subscription.subscribe("test-broker")
    assert subscription.parse_response() is not None
    address = subscription.connection._sock.getsockname()
    redis_client().execute_command("CLIENT", "KILL", "ADDR", f"{address[0]}:{address[1]}")

    with pytest.raises(RedisConnectionError):
        subscription.parse_response()


def test_worker_takes_messages_from_a_redis_whose_memory_is_full(tmp_path: Path):
    with replicated(tmp_path, 1) as (server,), override_settings(REDIS_URL=f"redis://:{PASSWORD}@{server.host}/0"):
        app = app_on(settings.REDIS_URL)
        channel = app.connection_for_read().default_channel
        queue = Queue(QUEUE, channel=channel)
        queue.declare()
        with app.producer_pool.acquire() as producer:
            producer.publish({"n": 1}, routing_key=QUEUE)
        server.client.config_set("maxmemory", "1mb")
        with pytest.raises(OutOfMemoryError):
            server.client.set("x", "1")

        message = queue.get()

        assert message is not None
        assert message.payload == {"n": 1}
        message.ack()
        assert message.acknowledged
        assert server.client.llen(QUEUE) == 0
        assert issubclass(OutOfMemoryError, app.connection_for_read().connection_errors)


def test_messages_go_to_and_come_from_the_server_that_was_promoted(tmp_path: Path):
    with replicated(tmp_path) as servers, override_settings(REDIS_URL=servers.url):
        first, second = servers
        app = app_on(parse_redis_url(servers.url).base)
        queue = Queue(QUEUE, channel=app.connection_for_read().default_channel)
        queue.declare()
        with app.producer_pool.acquire() as producer:
            producer.publish({"n": 1}, routing_key=QUEUE)
            servers.wait_until_alike(first)
            first.kill()
            list(plan_promotion(servers.url, second.host).carry_out())

            producer.publish({"n": 2}, routing_key=QUEUE, retry=True)

        assert second.client.llen(QUEUE) == 2
        received = Queue(QUEUE, channel=app.connection_for_read().default_channel).get(no_ack=True)
        assert received is not None
        assert received.payload == {"n": 1}
