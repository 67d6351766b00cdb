"""A subscriber that writes down what it hears: ``python subscriber.py PORT FILE``. It stands alone, to start fast."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    """Answers 200 once the notification is on the disk."""

    def do_POST(self) -> None:
        """One notification."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        heard = {"path": self.path, "headers": dict(self.headers), "bundle": json.loads(body)}
        with open(sys.argv[2], "ab") as file:
            file.write(json.dumps(heard).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
