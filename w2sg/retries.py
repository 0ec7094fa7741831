"""Patience with the Hub: which failures pass by themselves, how long to wait for them, and what they are called.

The client gives up a file, and deletes what has come of it, at the first answer that is an error. So its requests are
repeated below it, in the session that it asks for, and it never learns of what passes.
"""

from __future__ import annotations

import contextlib
import logging
import random
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn, TypeVar

import httpx2
from huggingface_hub import get_session, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.utils import hf_raise_for_status, parse_ratelimit_headers
from tenacity import RetryCallState, Retrying, retry_if_exception

from w2sg.revisions import RevisionError

LOG = logging.getLogger(__name__)
Result = TypeVar("Result")

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
        return error.response.status_code in TRANSIENT_STATUS or _has_expired(error)
    if isinstance(_origin(error), ssl.SSLCertVerificationError):
        return False
    return isinstance(error, PassingFailure | httpx2.HTTPError | TimeoutError | ConnectionError)


def _has_expired(error: BaseException) -> bool:
    """Whether the content network, to which the Hub sent us, refuses: the address is signed, and valid for a while only."""
    return isinstance(error, HfHubHTTPError) and error.response.status_code == 403 and bool(error.response.history)


def _origin(error: BaseException) -> BaseException:
    """Returns the failure below the layers of HTTP libraries, each of which raises one of its own."""
    while below := error.__cause__ or error.__context__:
        error = below
    return error


_WORDS = {
    "ReadTimeout": "the connection stalled",
    "ConnectTimeout": "no connection in time",
    "RemoteProtocolError": "the connection was cut",
}


def describe(error: BaseException) -> str:
    """Returns a failure in words, without URLs: those of a content network hold signatures."""
    if isinstance(error, RevisionNotFoundError):
        return "the Hub has no such revision"
    if isinstance(error, RepositoryNotFoundError):
        return "the Hub has no such repository, or does not open it to you (HF_TOKEN)"
    if isinstance(error, HfHubHTTPError):
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
    return _WORDS.get(name, name)


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


@dataclass(kw_only=True)
class _Task:
    """What is being attempted: its name for messages, and how often it has been."""

    what: str
    patience: Patience
    sleep: Callable[[float], None]
    doubtful: int = 0

    def repeat(self, action: Callable[[], Result]) -> Result:
        """Returns what ``action()`` returns once it does not fail in a way that may pass."""
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            stop=self._is_over,
            wait=lambda state: self.patience.wait(state.attempt_number - 1, asked_wait(_failure(state))),
            sleep=self.sleep,
            before_sleep=self._announce,
            retry_error_callback=self._give_up,
        )
        try:
            return retrying(action)
        except (httpx2.HTTPError, OSError) as error:
            kind = NoSuchRevision if isinstance(error, RevisionNotFoundError) else RevisionError
            raise kind(f"{self.what}: {describe(error)}") from None

    def _is_over(self, state: RetryCallState) -> bool:
        error = _failure(state)
        self.doubtful += isinstance(error, DamagedFile) or _has_expired(error)
        return state.attempt_number == self.patience.tries or self.doubtful == self.patience.damaged

    def _announce(self, state: RetryCallState) -> None:
        LOG.warning("%s: %s; trying again in %.1f s", self.what, describe(_failure(state)), state.upcoming_sleep)

    def _give_up(self, state: RetryCallState) -> NoReturn:
        reason = describe(_failure(state))
        raise RevisionError(f"{self.what}: {reason}; gave up after {state.attempt_number} attempts") from None


def _failure(state: RetryCallState) -> BaseException:
    error = state.outcome.exception() if state.outcome else None
    assert error is not None, "only failures are judged"
    return error


_PRESENT: ContextVar[_Task | None] = ContextVar("present task", default=None)


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
    task = _Task(what=what, patience=patience, sleep=sleep)
    token = _PRESENT.set(task)
    try:
        return task.repeat(action)
    finally:
        _PRESENT.reset(token)


class PatientSession(httpx2.Client):
    """The client's session, in which a request is repeated by itself: see :func:`persist`."""

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """Returns the answer to a request; inside :func:`persist` it is none that is an error or too short."""
        task = _PRESENT.get()
        # Where Xet gives no access to its servers plain HTTP is the way, and there is nothing to wait for.
        if task is None or "/xet-read-token/" in request.url.path:
            return super().send(request, **options)
        return task.repeat(lambda: self._send_once(request, **options))

    def _send_once(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        response = super().send(request, **options)
        try:
            hf_raise_for_status(response)
            _check_length(request, response)
        except BaseException:
            response.close()
            raise
        if request.method == "HEAD" and LINKED_SIZE in response.headers:
            # So that the Hub is asked again for each part of a file: what it refers to is valid for a while only.
            response.headers.pop("Location", None)
        return response


def _check_length(request: httpx2.Request, response: httpx2.Response) -> None:
    """Raises :class:`DamagedFile` if the content network sends less than the rest of a file."""
    sizes = [int(answer.headers[LINKED_SIZE]) for answer in response.history if LINKED_SIZE in answer.headers]
    sent = response.headers.get("Content-Length")
    if sizes and sent and request.method == "GET":
        start = int(request.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if int(sent) < sizes[0] - start:
            raise DamagedFile(f"the answer has {int(sent):,} bytes of {sizes[0] - start:,}")


def _make_session() -> PatientSession:
    return PatientSession(event_hooks=_HOOKS, follow_redirects=True, timeout=None)


_HOOKS = get_session().event_hooks
set_client_factory(_make_session)
