"""The TLS context of all connections. Both transports trust the same certificates."""

from __future__ import annotations

import functools
import os
import platform
import re
import ssl
from pathlib import Path

_WELL_KNOWN = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where Linux distributions keep their certificates, if not where OpenSSL was built to look (truststore's list)."""


def tls_context() -> ssl.SSLContext:
    """The one TLS context, as long as the environment names the same CAs: loading them takes 10-30 ms."""
    environment = os.environ.get
    return _tls_context(
        environment("SSL_CERT_FILE"), environment("SSL_CERT_DIR"), environment("SSLKEYLOGFILE")
    )


def tls_name(host: str) -> str | None:
    """The name to ask for where the host's own can't be verified: no wildcard certificate covers an underscore."""
    return host.replace("_", "-") if "_" in host else None


@functools.cache
def _tls_context(cafile: str | None, capath: str | None, _keylog: str | None) -> ssl.SSLContext:
    """What httpx2 makes, without importing it: aiohttp needs it too."""
    if cafile:
        return ssl.create_default_context(cafile=cafile)
    if capath:
        return ssl.create_default_context(capath=capath)
    if platform.system() in ("Windows", "Darwin"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = _openssl_paths()
    if file or folder:
        context.load_verify_locations(file, folder)
    return context


def _openssl_paths() -> tuple[str | None, str | None]:
    """The file and the folder of certificates, where they exist: OpenSSL's own, or a well-known file."""
    paths = ssl.get_default_verify_paths()
    file, folder = Path(paths.openssl_cafile), Path(paths.openssl_capath)
    has_file, has_folder = file.is_file(), folder.is_dir()
    if has_file:
        return str(file), str(folder) if has_folder else None
    if has_folder and _has_certificates(folder):
        return None, str(folder)
    for name in _WELL_KNOWN:
        if Path(name).is_file():
            return name, None
    return None, None


def _has_certificates(folder: Path) -> bool:
    """Whether one is named by its hash, as OpenSSL looks for them."""
    return any(re.fullmatch(r"[0-9a-fA-F]{8}\.\d", path.name) for path in folder.iterdir())
