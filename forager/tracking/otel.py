"""OpenTelemetry: spans of attempts (see `spans.py`), and a metric for each value of a training.

Where they go is for the usual variables to say: with $OTEL_EXPORTER_OTLP_ENDPOINT (or the one for
traces or metrics) to a collector over HTTP, else to DIRECTORY/otel/traces.jsonl and metrics.jsonl,
in the lines of JSON that collectors read with `otlpjsonfile`. $OTEL_SERVICE_NAME and
$OTEL_RESOURCE_ATTRIBUTES count too.
"""

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import RootModel

from forager.errors import UsageError
from forager.records import RecordWriter
from forager.tracking.spans import spans_of
from forager.tracking.tracker import PROJECT, Measurement, Subject
from forager.version import VERSION

_Export = Callable[[Any], None]
_IDS = ("traceId", "spanId", "parentSpanId")


class OtelTracker:
    """Exports spans of attempts and gauges of values; implements Tracker."""

    def __init__(self, subject: Subject) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource

        self._subject = subject
        known = {"forager.id": subject.id, "forager.directory": subject.directory.name}
        service = os.environ.get("OTEL_SERVICE_NAME") or PROJECT
        self._resource = Resource.create({SERVICE_NAME: service, **known})
        self._reader = InMemoryMetricReader()
        provider = MeterProvider([self._reader], resource=self._resource, shutdown_on_exit=False)
        self._meter = provider.get_meter(PROJECT, VERSION)
        self._gauges: dict[str, Any] = {}
        self._spans = _exporter("traces", subject.directory)
        self._metrics = _exporter("metrics", subject.directory)

    def log(self, measurement: Measurement) -> None:
        """Export an attempt as spans, and anything else as metrics. Raises RuntimeError."""
        if measurement.attempt:
            self._spans(list(spans_of(measurement.attempt, self._subject, self._resource)))
            return
        for name, value in {"step": measurement.step, **measurement.values}.items():
            if name not in self._gauges:
                gauge = self._meter.create_gauge(f"forager.{self._subject.kind}.{name}")
                self._gauges[name] = gauge
            self._gauges[name].set(value)
        self._metrics(self._reader.get_metrics_data())

    def close(self, *, failed: bool) -> None:
        """Nothing waits: `log` exports at once."""


def open_tracker(subject: Subject) -> OtelTracker:
    """Open the exporters that the environment names. Raises UsageError."""
    logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)  # errors are raised
    return OtelTracker(subject)


def _exporter(signal: str, directory: Path) -> _Export:
    named = f"OTEL_EXPORTER_OTLP_{signal.upper()}_"
    endpoints = (f"{named}ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    if any(os.environ.get(name) for name in endpoints):
        protocols = (f"{named}PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        if any(os.environ.get(name, "http/protobuf") != "http/protobuf" for name in protocols):
            raise UsageError(
                "only OTLP over HTTP is known: give OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf and "
                "the endpoint for it (port 4318)"
            )
        return _to_collector(signal)
    return _to_file(directory / "otel" / f"{signal}.jsonl", signal)


def _to_collector(signal: str) -> _Export:
    """Exports over HTTP; the exporter reads its variables (headers, time limit, certificates)."""
    exporter: Any
    if signal == "traces":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        exporter = OTLPSpanExporter()
    else:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        exporter = OTLPMetricExporter()

    def export(data: Any) -> None:
        result = exporter.export(data)
        if result.name != "SUCCESS":
            raise RuntimeError(f"the collector took no {signal}")

    return export


def _to_file(path: Path, signal: str) -> _Export:
    """Appends a line of OTLP's JSON; the torn line that a kill may have left is cut off."""

    def export(data: Any) -> None:
        with RecordWriter(path) as writer:
            writer.append(RootModel(_encoded(data, signal)))

    return export


def _encoded(data: Any, signal: str) -> dict[str, Any]:
    """OTLP's request as JSON: as of protobuf, with enumerations as numbers and ids in hex."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    message = encode_spans(data) if signal == "traces" else encode_metrics(data)
    request: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    for group in request.get("resourceSpans", ()):
        for scope in group["scopeSpans"]:
            _ids_in_hex(scope["spans"])
    return request


def _ids_in_hex(spans: Sequence[dict[str, Any]]) -> None:
    from base64 import b64decode

    for span in spans:
        span.update({name: b64decode(span[name]).hex() for name in _IDS if name in span})
