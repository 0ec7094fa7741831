"""Patience with the Hub: which failures pass by themselves, how long to wait for them, and what they are called.

The client gives up a file, and deletes what has come of it, at the first answer that is an error. So its requests are
repeated below it, in the session that it asks for, and it never learns of what passes.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cache, partial
from typing import Any, TypeVar

import httpx2
from huggingface_hub import constants, get_session, set_client_factory
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import hf_raise_for_status, parse_ratelimit_headers
from tenacity import RetryCallState, Retrying, retry_if_exception

from w2sg.revisions.environment import TOKEN
from w2sg.revisions.folders import RevisionError

LOG = logging.getLogger(__name__)
Result = TypeVar("Result")

_ONCE = ("/xet-read-token/", "/api/agent-harnesses")
"""Requests that are never repeated: without an answer the client does without (plain HTTP; a list of programs that call it)."""

LINKED_SIZE = "X-Linked-Size"
"""Header with the size of a file that the content network holds."""

TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 522, 524})
"""HTTP statuses that a later request may not meet again."""


class NoSuchRevision(RevisionError):
    """A branch that the Hub does not have."""


class PassingFailure(RevisionError):
    """A failure that a further attempt may not meet."""


class DamagedFile(PassingFailure):
    """Content that is not what the Hub lists; a new download may be whole."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often and how long a failed request is repeated."""

    tries: int = 15
    """Attempts in all; with the waits below up to ten minutes, as long as the Hub's short outages."""
    damaged: int = 4
    """Attempts that may end with a damaged file (each costs its whole transfer), or refused by the content network."""
    unresolved: int = 7
    """Attempts that may end because a host's name does not resolve: a minute, as a name that is wrong stays so."""
    first: float = 1.0
    """Seconds before the second attempt; doubled after each, up to ``most``."""
    most: float = 60.0
    """Longest wait in seconds that is chosen here."""
    silence: float = 60.0
    """Seconds without a byte after which a transfer over Xet is ended; over HTTP ``HF_HUB_DOWNLOAD_TIMEOUT`` holds."""
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
        return error.response.status_code in TRANSIENT_STATUS or _has_expired(error)
    if isinstance(_origin(error), ssl.SSLCertVerificationError):
        return False
    return isinstance(error, PassingFailure | httpx2.HTTPError | TimeoutError | ConnectionError)


def _has_expired(error: BaseException) -> bool:
    """Whether the content network, to which the Hub sent us, refuses: the address is signed, and valid for a while only.

    Networks say so with 400, 401, 403, 404 or 410. What the Hub itself refuses has a code that says why.
    """
    if not isinstance(error, HfHubHTTPError) or "X-Error-Code" in error.response.headers:
        return False
    return 400 <= error.response.status_code < 500 and bool(error.response.history)


def _origin(error: BaseException) -> BaseException:
    """Returns the failure below the layers of HTTP libraries, each of which raises one of its own."""
    while below := error.__cause__ or error.__context__:
        error = below
    return error


_WAITED = "for {} s (HF_HUB_DOWNLOAD_TIMEOUT)"
_WORDS = {
    "ReadTimeout": f"the connection stalled {_WAITED}",
    "ConnectTimeout": f"no connection {_WAITED}",
    "RemoteProtocolError": "the connection was cut",
}
_ADVICE = {
    401: f": {TOKEN} is missing, wrong or has expired; a public repository needs none",
    403: f": {TOKEN} gives no right to read it",
}


def describe(error: BaseException) -> str:
    """Returns a failure in words, without URLs: those of a content network hold signatures."""
    if isinstance(error, RevisionNotFoundError):
        return "the Hub has no such revision"
    if isinstance(error, GatedRepoError):
        return f"the repository is gated: ask for access on its page on the Hub, with the account of {TOKEN}"
    if isinstance(error, RepositoryNotFoundError):
        return f"the Hub has no such repository, or does not open it to you: {TOKEN} decides"
    if isinstance(error, HfHubHTTPError):
        status = f"HTTP {error.response.status_code} {error.response.reason_phrase}".strip()
        return status + _ADVICE.get(0 if error.response.history else error.response.status_code, "")
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
    if isinstance(origin, socket.gaierror):
        return (
            f"no connection, the name of the host does not resolve ({origin.strerror}); check HF_ENDPOINT, the proxy and "
            "the network, or set HF_HUB_OFFLINE=1 to work with the local cache"
        )
    if name == "ConnectError" and isinstance(origin, OSError) and origin.strerror:
        return f"no connection ({origin.strerror})"
    return _WORDS.get(name, name).format(constants.HF_HUB_DOWNLOAD_TIMEOUT)


def asked_wait(error: BaseException | None) -> float | None:
    """Returns the seconds that a server asks to wait; None if it says nothing.

    Every answer of the Hub carries ``RateLimit``, those of an overloaded server too. It counts only with status 429 or where
    no request is left in the window; ``Retry-After`` always does.
    """
    if not isinstance(error, HfHubHTTPError):
        return None
    value = error.response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        return float(value)
    with contextlib.suppress(ValueError):  # the header's other form is a date
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    quota = parse_ratelimit_headers(error.response.headers)
    if quota is not None and (quota.remaining == 0 or error.response.status_code == 429):
        return float(quota.reset_in_seconds)
    return None


def persist(
    action: Callable[[], Result], *, what: str, patience: Patience, sleep: Callable[[float], None] = time.sleep
) -> Result:
    """Returns what ``action()`` returns, trying again while its failures, or those of its requests, are transient.

    Args:
        action: Asks the Hub through its client.
        what: What is attempted, for messages: ``fetch EleutherAI/pythia-70m step1 config.json``.
        patience: How often and how long.
        sleep: How to wait; tests record instead.

    Raises:
        RevisionError: If a failure is permanent or the attempts are used up; the message holds ``what`` and why.
    """
    _use_patient_sessions()
    repeat = partial(_repeat, what=what, patience=patience, sleep=sleep)
    token = _PRESENT.set(repeat)
    try:
        return repeat(action)
    finally:
        _PRESENT.reset(token)


def _repeat(action: Callable[[], Result], *, what: str, patience: Patience, sleep: Callable[[float], None]) -> Result:
    doubtful = unresolved = 0

    def failure(state: RetryCallState) -> BaseException:
        error = state.outcome.exception() if state.outcome else None
        assert error is not None, "only failures are judged"
        return error

    def is_over(state: RetryCallState) -> bool:
        nonlocal doubtful, unresolved
        error = failure(state)
        doubtful += isinstance(error, DamagedFile) or _has_expired(error)
        unresolved += isinstance(_origin(error), socket.gaierror)
        over = doubtful == patience.damaged or unresolved == patience.unresolved
        return over or state.attempt_number == patience.tries

    retrying = Retrying(
        retry=retry_if_exception(is_transient),
        stop=is_over,
        wait=lambda state: patience.wait(state.attempt_number - 1, asked_wait(failure(state))),
        sleep=sleep,
        before_sleep=lambda state: LOG.warning(
            "%s: %s; trying again in %.1f s", what, describe(failure(state)), state.upcoming_sleep
        ),
        reraise=True,
    )
    try:
        return retrying(action)
    except (httpx2.HTTPError, OSError, PassingFailure) as error:
        kind = NoSuchRevision if isinstance(error, RevisionNotFoundError) else RevisionError
        tried = f"; gave up after {retrying.statistics['attempt_number']} attempts" if is_transient(error) else ""
        raise kind(f"{what}: {describe(error)}{tried}") from None


_PRESENT: ContextVar[Callable[[Callable[[], Any]], Any] | None] = ContextVar("present", default=None)
"""How requests are repeated inside :func:`persist`."""


@cache
def _use_patient_sessions() -> None:
    hooks = get_session().event_hooks
    set_client_factory(lambda: PatientSession(event_hooks=hooks, follow_redirects=True, timeout=None))


class PatientSession(httpx2.Client):
    """The client's session, in which each request is repeated by itself inside :func:`persist`."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Returns the answer to a request; inside :func:`persist` it is none that is an error or too short."""
        repeat = _PRESENT.get()
        if repeat is None or any(part in request.url.path for part in _ONCE):
            return super().send(request, **options)
        response: httpx2.Response = repeat(lambda: self._send_once(request, **options))
        if request.method == "HEAD" and LINKED_SIZE in response.headers:
            # So that the Hub is asked again for each part of a file: what it refers to is valid for a while only.
            response.headers.pop("Location", None)
        return response

    def _send_once(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        response = super().send(request, **options)
        try:
            hf_raise_for_status(response)
            if "/api/" in request.url.path and "text/html" in response.headers.get("Content-Type", ""):
                raise DamagedFile(
                    "a web page came instead of the Hub's answer: a login or filter stands between, or HF_ENDPOINT is no Hub"
                )
            size = next(
                (answer.headers[LINKED_SIZE] for answer in response.history if LINKED_SIZE in answer.headers), 0
            )
            start = request.headers.get("Range", "").removeprefix("bytes=").removesuffix("-") or 0
            sent = response.headers.get("Content-Length", size)
            if int(sent) < int(size) - int(start):
                raise DamagedFile(f"the answer has {int(sent):,} bytes of {int(size) - int(start):,}")
        except BaseException:
            response.close()
            raise
        return response
