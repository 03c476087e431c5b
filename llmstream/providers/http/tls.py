"""The TLS context of all connections. Both transports trust the same certificates."""

from __future__ import annotations

import functools
import os
import platform
import re
import ssl
from pathlib import Path

from llmstream.checks import require
from llmstream.errors import ConfigurationError

_WELL_KNOWN = (
    "/etc/ssl/cert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""Where Linux distributions keep their certificates, if not where OpenSSL was built to look (truststore's list)."""


def tls_context() -> ssl.SSLContext:
    """The one TLS context, as long as the environment names the same CAs.

    Loading them takes 10-30 ms. Raises ConfigurationError for what the environment names and can't
    be used.
    """
    environment = os.environ.get
    return _tls_context(
        environment("SSL_CERT_FILE"), environment("SSL_CERT_DIR"), environment("SSLKEYLOGFILE")
    )


def tls_name(host: str) -> str | None:
    """The name to ask for where the host's own can't be verified: no wildcard certificate covers an underscore."""
    return host.replace("_", "-") if "_" in host else None


@functools.cache
def _tls_context(cafile: str | None, capath: str | None, keylog: str | None) -> ssl.SSLContext:
    """The context that httpx2 makes, without importing httpx2: aiohttp needs it too."""
    if cafile or capath:
        _check_key_log(keylog)
    if cafile:
        return _trust_file(cafile)
    if capath:
        return _trust_folder(capath)
    if platform.system() in ("Windows", "Darwin"):
        import truststore

        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    file, folder = _openssl_paths()
    if file or folder:
        context.load_verify_locations(file, folder)
    return context


def _trust_file(path: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        flaw = "has no certificate that can be read"
    except (OSError, ValueError) as error:
        flaw = f"can't be read ({getattr(error, 'strerror', None) or error})"
    raise ConfigurationError(
        f"SSL_CERT_FILE names {path!r}, which {flaw}: unset it, or name a file of CAs in PEM form"
    )


def _trust_folder(path: str) -> ssl.SSLContext:
    # OpenSSL takes several, as in PATH. It would say nothing of those that are gone, and trust nobody.
    require(
        any(Path(folder).is_dir() for folder in path.split(os.pathsep) if folder),
        f"SSL_CERT_DIR names {path!r}, which isn't a folder: unset it, or name a folder of CAs",
        ConfigurationError,
    )
    return ssl.create_default_context(capath=path)


def _check_key_log(path: str | None) -> None:
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8"):  # noqa: PTH123  # as ssl opens it
            pass
    except (OSError, ValueError) as error:
        flaw = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"SSLKEYLOGFILE names {path!r}, which can't be written ({flaw}): unset it, or name "
            "another file"
        ) from None


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
