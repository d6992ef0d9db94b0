"""An S3 on loopback, for tests and benchmarks. `python -m tests.support.s3` serves it, and first says where.

A process of its own, since delta-rs does not let go of the interpreter while it waits for an answer.
"""

import logging
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_COUNT = "/requests-so-far"


class _ConditionsHold:
    """S3 checks a condition and writes in one step; moto in two, between which another writer may come."""

    def __init__(self, app: Callable[..., Iterable[bytes]]):
        self._app, self._lock, self._requests = app, threading.Lock(), 0

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == _COUNT:
            start_response("200 OK", [])
            return [str(self._requests).encode()]
        self._requests += 1
        if environ["REQUEST_METHOD"] == "GET":
            return self._app(environ, start_response)
        with self._lock:
            return [*self._app(environ, start_response)]


def _serve() -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    app = _ConditionsHold(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


@contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Runs the server; yields the AWS settings by which any process finds it."""
    command = [sys.executable, "-m", "tests.support.s3"]
    root = Path(__file__).parent.parent.parent
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield {
                "AWS_ENDPOINT_URL": process.stdout.readline().strip(),
                "AWS_ACCESS_KEY_ID": "nobody",
                "AWS_SECRET_ACCESS_KEY": "nothing",
                "AWS_REGION": "eu-central-1",
                "AWS_DEFAULT_REGION": "eu-central-1",
            }
        finally:
            process.kill()


def requests_so_far(settings: Mapping[str, str]) -> int:
    """How many requests the server has had."""
    with urllib.request.urlopen(settings["AWS_ENDPOINT_URL"] + _COUNT) as answer:
        return int(answer.read())


if __name__ == "__main__":
    _serve()
