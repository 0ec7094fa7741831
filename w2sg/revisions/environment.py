"""Variables of the environment with which the Hub cannot be asked, found before anything runs: what the client says names none.

Standard library only: it is read while the DAG is built, and the client reads some of these variables when it is imported.
"""

from __future__ import annotations

import importlib.util
import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from w2sg.revisions.folders import RevisionError

TOKEN = "the Hub's token (HF_TOKEN, or what `hf auth login` kept)"
"""What errors call it; it is never shown."""

_TIMEOUTS = ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT")


def check_environment(given: Mapping[str, str] | None = None) -> None:
    """Raises :class:`RevisionError`, naming it, if a variable of the environment rules out every answer of the Hub.

    ``given``: the variables; default those of this process.
    """
    variables = os.environ if given is None else given
    if "HF_ENDPOINT" in variables:
        check_endpoint(variables["HF_ENDPOINT"])
    for name in _TIMEOUTS:
        value = variables.get(name, "10")
        if not re.fullmatch(r"\s*\+?0*[1-9]\d*\s*", value):
            raise RevisionError(f"{name} is {value!r}, expected a whole number of seconds, at least 1")
    check_token(variables.get("HF_TOKEN", ""))
    _check_certificates(variables)
    for scheme, value in getproxies().items():
        if scheme in ("http", "https", "all") and value:
            _check_proxy(f"{scheme.upper()}_PROXY", value)


def check_endpoint(address: str) -> str:
    """Returns the Hub's address, without the user name and password that a mirror's may hold; raises unless it is one."""
    parts = _split(address)
    if parts is None or parts.scheme not in ("http", "https"):
        shown = address.rpartition("@")[2]
        raise RevisionError(
            f"HF_ENDPOINT is {shown!r}, expected the address of a Hub: https://name or http://name:port"
        )
    return _shown(parts)


def check_token(token: str) -> None:
    """Raises unless a token, if there is one, can be sent."""
    if not re.fullmatch(r"[!-~]*", token.strip()):
        raise RevisionError(f"{TOKEN} holds a character that no token has: copy it again")


def proxy_for(address: str) -> str:
    """Returns the proxy that an address is asked through and the variable that says so, in words; empty without one."""
    parts = urlsplit(address)
    proxies = getproxies()
    found = next(((scheme, proxies[scheme]) for scheme in (parts.scheme, "all") if proxies.get(scheme)), None)
    if found is None or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return ""
    proxy = _split(_whole(found[1]))
    return f" through the proxy {_shown(proxy) if proxy else '?'} ({found[0].upper()}_PROXY)"


def _check_certificates(variables: Mapping[str, str]) -> None:
    file, folder = variables.get("SSL_CERT_FILE"), variables.get("SSL_CERT_DIR")
    if file:
        if not Path(file).is_file():
            raise RevisionError(f"SSL_CERT_FILE names {file}, which is no file: correct the variable or unset it")
        try:
            ssl.create_default_context(cafile=file)
        except OSError as error:
            raise RevisionError(
                f"SSL_CERT_FILE names {file}, which holds no certificate that can be read "
                f"({error.strerror or error}); expected certificates in PEM format"
            ) from None
    elif folder and not any(Path(part).is_dir() for part in folder.split(os.pathsep)):
        raise RevisionError(f"SSL_CERT_DIR names {folder}, which is no folder: correct the variable or unset it")


def _check_proxy(name: str, value: str) -> None:
    parts = _split(_whole(value))
    shown = value.rpartition("@")[2]
    if parts is None or parts.scheme not in ("http", "https", "socks5", "socks5h"):
        raise RevisionError(f"{name} is {shown!r}, expected the address of a proxy: http://name:port")
    if parts.scheme.startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise RevisionError(
            f"{name} is {shown!r}, and this environment has no package for such proxies; "
            "install socksio, or name an HTTP proxy"
        )


def _whole(value: str) -> str:
    return value if "://" in value else f"http://{value}"


def _split(address: str) -> SplitResult | None:
    """Returns the parts of an address without white space that names a host, and a port that can be; else None."""
    try:
        parts = urlsplit(address)
        return parts if parts.hostname and parts.port != 0 and not re.search(r"\s", address) else None
    except ValueError:
        return None


def _shown(parts: SplitResult) -> str:
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
