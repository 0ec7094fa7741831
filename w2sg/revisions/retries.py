"""Trying again: which failures of the network pass by themselves, and how long to wait for them."""

from __future__ import annotations

import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

from w2sg.revisions.folders import RevisionError

LOG = logging.getLogger(__name__)
Result = TypeVar("Result")


# The client's errors derive from those of the HTTP library below it, whichever that is in the installed version.
HTTP_ERROR: type[Exception] = next(c for c in HfHubHTTPError.__mro__ if c.__name__ == "HTTPError")

TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 522, 524})
"""HTTP statuses that a later request may not meet again."""


class NoSuchRevision(RevisionError):
    """A branch that the Hub does not have."""


class DamagedFile(RevisionError):
    """A file whose content is not what the Hub lists; a new download may be whole."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often and how long a failed request is repeated."""

    tries: int = 15
    """Attempts in all; with the waits below up to ten minutes, as long as the Hub's short outages."""
    damaged: int = 4
    """Attempts that may end with a damaged file: each costs its whole transfer."""
    first: float = 1.0
    """Seconds before the second attempt; doubled after each, up to ``most``."""
    most: float = 60.0
    """Longest wait in seconds that is chosen here."""
    obeyed: float = 900.0
    """Longest wait in seconds that a server may ask for (``Retry-After``)."""

    def wait(self, attempt: int, asked: float | None) -> float:
        """Returns the seconds before the next attempt, jittered so that jobs that failed together do not return together."""
        if asked is not None:
            return min(asked, self.obeyed)
        return min(self.first * 2**attempt, self.most) * random.SystemRandom().uniform(0.5, 1.0)


def is_transient(error: BaseException) -> bool:
    """Returns whether a failure may pass by itself: time-outs, cut connections, overload, damaged files."""
    if isinstance(error, HfHubHTTPError):
        return error.response is not None and error.response.status_code in TRANSIENT_STATUS
    if isinstance(_origin(error), ssl.SSLCertVerificationError):
        return False
    if isinstance(error, DamagedFile | HTTP_ERROR | TimeoutError | ConnectionError):
        return True
    # The client reports a body of the wrong length as an OSError without a number; a full disk has one.
    return isinstance(error, OSError) and error.errno is None


def _origin(error: BaseException) -> BaseException:
    """Returns the failure below the layers of HTTP libraries, each of which raises one of its own."""
    while below := error.__cause__ or error.__context__:
        error = below
    return error


def describe_error(error: BaseException) -> str:
    """Returns a failure in words, without URLs: those of a content network hold signatures."""
    if isinstance(error, RevisionNotFoundError):
        return "the Hub has no such revision"
    if isinstance(error, RepositoryNotFoundError):
        return "the Hub has no such repository, or does not open it to you (HF_TOKEN)"
    if isinstance(error, HfHubHTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
    if isinstance(error, RevisionError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    name, origin = type(error).__name__, _origin(error)
    if isinstance(origin, ssl.SSLCertVerificationError):
        return (
            f"the server's certificate is not trusted ({origin.verify_message}); if a proxy opens the connections, "
            "let SSL_CERT_FILE name a file with its certificate"
        )
    if name == "ConnectError" and isinstance(origin, OSError) and origin.strerror:
        return f"no connection ({origin.strerror})"
    return {"ReadTimeout": "the connection stalled", "ConnectTimeout": "no connection in time"}.get(name, name)


def asked_wait(error: BaseException) -> float | None:
    """Returns the seconds that a server asks to wait; None if it says nothing.

    Every answer of the Hub carries ``RateLimit``, those of an overloaded server too. It counts only with status 429 or where
    no request is left in the window; ``Retry-After`` always does.
    """
    response = error.response if isinstance(error, HfHubHTTPError) else None
    if response is None:
        return None
    value = response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    if value:
        with contextlib.suppress(ValueError):  # the header's other form is a date
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return _quota_wait(response.headers.get("RateLimit", ""), refused=response.status_code == 429)


def _quota_wait(header: str, *, refused: bool) -> float | None:
    """Returns the seconds until a used-up quota is renewed; None where enough is left for what failed to have other reasons."""
    fields = {name.strip(): number for name, _, number in (part.partition("=") for part in header.split(";"))}
    left, reset = fields.get("r", ""), fields.get("t", "")
    used_up = refused or (left.isdigit() and int(left) == 0)
    return float(reset) if used_up and reset.isdigit() else None


def persist(
    action: Callable[[int], Result],
    *,
    what: str,
    patience: Patience,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Returns what ``action(attempt)`` returns, trying again while its failures are transient.

    Args:
        action: Called with the number of the attempt, from 0.
        what: What is attempted, for messages: ``fetch EleutherAI/pythia-70m step1 config.json``.
        patience: How often and how long.
        sleep: How to wait; tests record instead.

    Raises:
        RevisionError: If a failure is permanent or the attempts are used up; the message holds ``what`` and why.
    """
    damaged = 0
    for attempt in range(patience.tries):
        try:
            return action(attempt)
        except Exception as error:
            damaged += isinstance(error, DamagedFile)
            if not is_transient(error):
                if isinstance(error, RevisionNotFoundError):
                    raise NoSuchRevision(f"{what}: {describe_error(error)}") from None
                if isinstance(error, HTTP_ERROR | OSError):
                    raise RevisionError(f"{what}: {describe_error(error)}") from None
                raise
            if attempt + 1 == patience.tries or damaged == patience.damaged:
                raise RevisionError(f"{what}: {describe_error(error)}; gave up after {attempt + 1} attempts") from None
            seconds = patience.wait(attempt, asked_wait(error))
            LOG.warning("%s: %s; trying again in %.1f s", what, describe_error(error), seconds)
        sleep(seconds)
    raise AssertionError("tries must be at least 1")
