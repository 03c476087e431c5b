"""Certificates: made once per process, trusted by nobody who is not told to, deleted at its end."""

from __future__ import annotations

import atexit
import functools
import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

_HOSTS = {
    "trusted": "IP:127.0.0.1,DNS:localhost",
    "untrusted": "IP:127.0.0.1",
    "other_host": "DNS:elsewhere.example",
}


@functools.cache
def certificates() -> Path:
    """The directory that holds them; takes some 50 ms. RuntimeError where there is no `openssl` program."""
    program = shutil.which("openssl")
    if program is None:
        raise RuntimeError(
            "FaultServer makes its TLS certificates by the openssl program: install it"
        )
    directory = Path(tempfile.mkdtemp(prefix="llmstream-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    for name, hosts in _HOSTS.items():
        subprocess.run(  # noqa: S603  # fixed arguments
            [
                *(
                    program,
                    "req",
                    "-x509",
                    "-nodes",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                ),
                *(
                    "-subj",
                    f"/CN=llmstream {name}",
                    "-addext",
                    f"subjectAltName={hosts}",
                    "-days",
                    "2",
                ),
                *(
                    "-keyout",
                    str(directory / f"{name}.key"),
                    "-out",
                    str(directory / f"{name}.pem"),
                ),
            ],
            check=True,
            capture_output=True,
        )
    trusted = [(directory / f"{name}.pem").read_text() for name in _HOSTS if name != "untrusted"]
    ca_file(directory).write_text("".join(trusted))
    return directory


def ca_file(directory: Path) -> Path:
    """The certificate that a client has to trust, in a file."""
    return directory / "ca.pem"


def server_context(name: str) -> ssl.SSLContext:
    """A server's side of TLS with that certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates() / f"{name}.pem", certificates() / f"{name}.key")
    return context
