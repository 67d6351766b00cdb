"""HTTP for services: health, metrics, and routes behind TLS and tokens wherever they leave the machine."""

from shared.http.access import BindRefused, Tokens, TokenSocket, log_access
from shared.http.health import Check
from shared.http.server import HttpServer

__all__ = ["BindRefused", "Check", "HttpServer", "TokenSocket", "Tokens", "log_access"]
