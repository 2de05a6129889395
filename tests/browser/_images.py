"""A server of images on loopback, that notes who asked for what; and of pages, on plain http."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_IMAGE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
    '<rect width="100%" height="100%" fill="#7a9"/></svg>'
)


class Images(ThreadingHTTPServer):
    """Serves `/image/WIDTH/HEIGHT/NAME`, and any page given; everything else is not found."""

    daemon_threads = True
    # Every other image of a page is asked for at once.
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.asked: list[str] = []
        self.referrers: list[str] = []
        self.pages: dict[str, Path] = {}

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def image(self, name: object, width: int = 1024, height: int = 1024) -> str:
        """Give the address of an image."""
        return f"{self.address}/image/{width}/{height}/{name}"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Give the status, the type and the body for a path."""
        if path in self.pages:
            return 200, "text/html", self.pages[path].read_bytes()
        match path.split("/"):
            case ["", "image", width, height, _]:
                return 200, "image/svg+xml", _IMAGE.format(width=width, height=height).encode()
            case _:
                return 404, "text/plain", b"This content is no longer available."


class _Answer(BaseHTTPRequestHandler):
    server: Images

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.referrers.extend(self.headers.get_all("Referer", []))
        status, kind, body = self.server.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def serve_images() -> Iterator[Images]:
    """Serve until the block ends."""
    with Images() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
