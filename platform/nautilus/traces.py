"""OpenTelemetry traces, by a setting: NAUTILUS_TRACES_ENDPOINT. Without it nothing that traces is imported.

One trace leads from the request through Celery's message and the task to what the task publishes (docs/logs.md).
"""

from collections.abc import Callable

from django.conf import settings

from nautilus.logs.process import process_name
from nautilus.logs.spans import Span, take_spans_from

_started = False


def start_traces() -> None:
    """Once a process, before the first request, query or task."""
    global _started
    if not settings.TRACES_ENDPOINT or _started:
        return
    _started = True
    _send_spans()
    _watch_libraries()
    take_spans_from(_spans())


def _send_spans() -> None:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    resource = Resource.create({"service.name": "nautilus", "service.instance.id": process_name()})
    sampler = ParentBased(TraceIdRatioBased(settings.TRACES_SAMPLE_RATIO))
    provider = TracerProvider(resource=resource, sampler=sampler)
    exporter = OTLPSpanExporter(endpoint=f"{settings.TRACES_ENDPOINT.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))  # starts its thread anew after a fork
    trace.set_tracer_provider(provider)


def _watch_libraries() -> None:
    from opentelemetry.instrumentation.celery import CeleryInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor

    for instrumentor in (DjangoInstrumentor(), CeleryInstrumentor(), PsycopgInstrumentor(), RedisInstrumentor()):
        instrumentor.instrument()


def _spans() -> Callable[[], Span]:
    from opentelemetry.trace import get_current_span

    def current() -> Span:
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    return current
