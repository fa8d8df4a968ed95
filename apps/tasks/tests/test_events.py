"""What is pushed of a task."""

import json
from typing import Any

import pytest
from django.utils import timezone

from apps.realtime.topics import stream_key
from apps.tasks.events import PUSHED_MAX_CHARACTERS, publish_tasks
from apps.tasks.models import Task
from apps.tasks.tests.factories import make_task
from nautilus.connections import redis_client

pytestmark = pytest.mark.django_db


def pushed(task: Task) -> dict[str, Any]:
    ((_, fields),) = redis_client().xrevrange(stream_key(task.topic), count=1)
    return json.loads(fields["text"])["data"]


def ended_with(result: Any) -> Task:
    task = make_task(status="succeeded", result=result, finished_at=timezone.now())
    publish_tasks([task])
    return task


def test_result_is_pushed_with_its_task():
    said = pushed(ended_with({"var": 2.5}))
    assert said["result"] == {"var": 2.5}
    assert "result_url" not in said


def test_result_that_is_too_long_to_push_is_left_where_it_is():
    task = ended_with({"rolling": "9" * PUSHED_MAX_CHARACTERS})
    said = pushed(task)
    assert (said["status"], said["result"]) == ("succeeded", None)
    assert said["result_url"] == f"/api/v1/tasks/{task.id}"
