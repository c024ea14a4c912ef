"""What the service counts, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from polypatch.desk.served import Served

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


class Counting:
    """Requests by path and status, how long they took, and the edits in the model. A registry of its own."""

    def __init__(self, desk: Served) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "path", "status")
        self.requests = Counter("polypatch_requests", "Requests that were answered.", labels, registry=self.registry)
        self.seconds = Histogram(
            "polypatch_request_seconds",
            "Seconds until the answer.",
            labels[:2],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.texts = Counter("polypatch_texts", "Texts that the model answered.", registry=self.registry)
        edits = Gauge("polypatch_edits", "Edits in the model.", registry=self.registry)
        edits.set_function(lambda: desk.inside)
        patches = Gauge("polypatch_patches", "Patches in the model.", registry=self.registry)
        patches.set_function(lambda: desk.patches)

    async def watch(self, request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        """A middleware: count one request. A path that is none of ours is counted as one, whatever it was called."""
        begun, status = time.perf_counter(), 500
        try:
            response = await go_on(request)
            status = response.status_code
            return response
        finally:
            route = request.scope.get("route")
            path = getattr(route, "path", "other")
            self.requests.labels(request.method, path, status).inc()
            self.seconds.labels(request.method, path).observe(time.perf_counter() - begun)

    def response(self) -> Response:
        """All of it, as Prometheus reads it."""
        return Response(generate_latest(self.registry), media_type=CONTENT_TYPE_LATEST)
