"""An OIDC issuer on a loopback port: publishes its keys over HTTP, signs tokens, changes keys, goes away."""

from __future__ import annotations

import functools
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.example.org"
AUDIENCE = "hpcjobs-test"

READERS = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


@functools.cache
def private_key(algorithm: str, number: int = 0) -> Any:
    """A key; the same for the same arguments, since making one takes long."""
    del number
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if algorithm == "ES256" else ed25519.Ed25519PrivateKey.generate()


def public_pem(algorithm: str, number: int = 0) -> bytes:
    return private_key(algorithm, number).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(algorithm: str, kid: str | None, number: int = 0, **more: object) -> dict[str, object]:
    """A public key as an issuer publishes it."""
    told = READERS[algorithm].to_jwk(private_key(algorithm, number).public_key(), as_dict=True)
    named = {} if kid is None else {"kid": kid}
    return {**told, **named, "alg": algorithm, "use": "sig", **more}


def claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    told = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "17", "iat": now, "exp": now + 7200, "jti": "j-1",
        "preferred_username": "alice", "scope": "openid jobs:read jobs:write clusters:read admin",
    } | changes  # fmt: skip
    return {name: value for name, value in told.items() if value is not None}


def token(algorithm: str = "RS256", kid: str | None = "one", number: int = 0, **changes: object) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), private_key(algorithm, number), algorithm=algorithm, headers=headers)


class JwksServer:
    """Serves whatever its ``answer`` is.

    Attributes:
        keys: What it publishes.
        answer: Bytes to send instead, where they are set.
        status: HTTP status.
        asked: How often it was asked.
        hold: While it is clear, answers wait.
    """

    def __init__(self, *keys: dict[str, object]) -> None:
        self.keys = list(keys)
        self.answer: bytes | None = None
        self.status = 200
        self.location = ""
        self.asked = 0
        self.hold = threading.Event()
        self.hold.set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked += 1
                outer.hold.wait(60)
                body = outer.answer if outer.answer is not None else json.dumps({"keys": outer.keys}).encode()
                self.send_response(outer.status)
                if outer.location:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/jwks"

    def close(self) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(60)
