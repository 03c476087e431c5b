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
    return _tls_context(
        *(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"))
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
    paths = ssl.get_default_verify_paths()
    file = paths.openssl_cafile if Path(paths.openssl_cafile).is_file() else None
    folder = paths.openssl_capath if Path(paths.openssl_capath).is_dir() else None
    if folder is not None and file is None and not _has_certificates(Path(folder)):
        folder = None
    if folder is None and file is None:
        file = next((name for name in _WELL_KNOWN if Path(name).is_file()), None)
    return file, folder


def _has_certificates(folder: Path) -> bool:
    """Whether one is named by its hash, as OpenSSL looks for them."""
    return any(re.fullmatch(r"[0-9a-fA-F]{8}\.\d", path.name) for path in folder.iterdir())
