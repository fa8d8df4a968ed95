"""What the operators' endpoints take and give: contract section 9."""

from rest_framework import serializers

from nautilus.api.serializers import StrictSerializer

_SILENT = "Server processes that heard the question and did not answer in time: they are missing in the figures"


class LatencySerializer(serializers.Serializer):
    """Of the last minute; null where no message went to a socket in it."""

    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class CountersSerializer(serializers.Serializer):
    active = serializers.IntegerField(help_text="Sockets that are open")
    max = serializers.IntegerField(help_text="Sockets that may be open; one more is closed with 1013")
    accepted = serializers.IntegerField(help_text="Sockets since the start")
    rejected = serializers.IntegerField(help_text="Sockets refused since the start")
    messages_sent = serializers.IntegerField(help_text="Since the start, counted at each socket")
    bytes_sent = serializers.IntegerField()
    dropped = serializers.IntegerField(help_text="Messages that were given up, with the socket that did not read them")
    slow_consumers = serializers.IntegerField(help_text="Sockets closed with 4008 since the start")
    uptime_seconds = serializers.FloatField(help_text="Of the process; of all together that of the oldest")


class ProcessSerializer(CountersSerializer):
    process = serializers.CharField(help_text="host:pid")
    hub = serializers.CharField()
    started_at = serializers.DateTimeField()
    queue_depth = serializers.IntegerField(help_text="Messages that wait to be written")
    messages_per_second = serializers.FloatField(help_text="Over ten seconds")
    latency_ms = LatencySerializer()
    topics = serializers.IntegerField(help_text="Topics and patterns that somebody follows here")


class ConnectionStatsSerializer(CountersSerializer):
    users = serializers.IntegerField(help_text="Different users with a socket")
    silent_processes = serializers.IntegerField(help_text=_SILENT)
    processes = ProcessSerializer(many=True)


class TopicSerializer(serializers.Serializer):
    topic = serializers.CharField(help_text="A topic, or a pattern that ends in *")
    subscribers = serializers.IntegerField(help_text="Sockets of all processes")
    last_seq = serializers.IntegerField(allow_null=True, help_text="null for a pattern: each topic has its own")


class SubscriptionsSerializer(serializers.Serializer):
    topics = TopicSerializer(many=True, help_text="The most followed first, 500 at most")
    total = serializers.IntegerField(help_text="Topics and patterns that somebody follows, also those not listed")
    silent_processes = serializers.IntegerField(help_text=_SILENT)


class BatchingSerializer(serializers.Serializer):
    batch_size = serializers.IntegerField()
    flush_interval = serializers.FloatField(help_text="Seconds")
    mean_batch = serializers.FloatField(allow_null=True, help_text="Messages in a batch; null before the first one")


class RedisFiguresSerializer(serializers.Serializer):
    latency_ms = serializers.FloatField(help_text="A round trip: the median of five")
    used_memory_bytes = serializers.IntegerField()


class SocketPerformanceSerializer(serializers.Serializer):
    latency_ms = LatencySerializer(help_text="From a message's publication to its writing to a socket")
    messages_per_second = serializers.FloatField(help_text="To all sockets, over ten seconds")
    queue_depth = serializers.IntegerField(help_text="Messages that wait to be written")
    batching = BatchingSerializer()
    redis = RedisFiguresSerializer()
    reasons = serializers.DictField(child=serializers.CharField(), help_text="Why a figure of this name is null")
    silent_processes = serializers.IntegerField(help_text=_SILENT)


class TopicField(serializers.CharField):
    """A name as it is: a number is none, and nothing is trimmed. What it may hold, broadcasts.py says."""

    default_error_messages = {"invalid": "{value} is no topic; expected a word such as 'news'."}

    def to_internal_value(self, data: object) -> str:
        if not isinstance(data, str):
            self.fail("invalid", value=repr(data)[:60])
        return data


class BroadcastSerializer(StrictSerializer):
    topic = TopicField(help_text="A word without ':' that no app writes on")
    message = serializers.JSONField(help_text="An object, or a text, which becomes an object; 64 KiB at most")


class BroadcastAnswerSerializer(serializers.Serializer):
    topic = serializers.CharField()
    seq = serializers.IntegerField(help_text="Of the message, in its topic")
    receivers = serializers.IntegerField(help_text="Sockets of all processes that follow the topic or a pattern of it")
    silent_processes = serializers.IntegerField(help_text=_SILENT)


class RestartAnswerSerializer(serializers.Serializer):
    restarted = serializers.BooleanField()
    processes = serializers.IntegerField(help_text="That restarted their sockets")
    connections_closed = serializers.IntegerField(help_text="With 1012: clients come back by themselves")
    silent_processes = serializers.IntegerField(help_text="That heard it and did not answer in time")
