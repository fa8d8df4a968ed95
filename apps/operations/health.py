"""Whether the platform can serve at all. The components' own checks come with `/system/health`."""

from django.db import connection
from django.db.utils import Error as DatabaseError
from redis.exceptions import RedisError

from nautilus.connections import redis_client


def is_healthy() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        redis_client().ping()
    except (DatabaseError, RedisError):
        return False
    return True
