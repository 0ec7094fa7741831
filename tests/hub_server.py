"""A local server that speaks enough of the Hub's HTTP interface for the unmodified client, with faults on demand."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

LARGE = 4096
"""Files from this size on are LFS files: the Hub redirects to a content network and lists their SHA-256."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request as it arrived."""

    number: int
    method: str
    path: str
    offset: int
    token: str | None
    target: str


@dataclass(kw_only=True)
class Fault:
    """What goes wrong with one answer."""

    kind: str
    """status, page (of a login), hang (no answer at all), stall, cut, flip or short."""
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    at: float = 0.5
    """Where in the body, as a fraction."""
    seconds: float = 3.0


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def describe(path: str, content: bytes) -> dict:
    """A file's entry in a listing; large ones have their LFS hash beside the blob's."""
    entry = {"type": "file", "path": path, "oid": blob(content), "size": len(content)}
    if len(content) >= LARGE:
        digest = hashlib.sha256(content).hexdigest()
        entry["lfs"] = {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 130}
    return entry


class Hub:
    """Repositories in memory: ``branches[repo][revision]`` maps paths to contents.

    The name of a dataset's repository begins with ``datasets/``.
    """

    def __init__(self) -> None:
        self.branches: dict[str, dict[str, dict[str, bytes]]] = {}
        self.requests: list[Request] = []
        self.fault: Callable[[Request], Fault | None] = lambda request: None
        self.sent = 0
        self.xet = False
        """Whether large files are offered over Xet too."""
        self.xet_place: str | None = None
        """The server that Xet is sent to; without one nobody gets access to any."""
        self._guard = threading.Lock()

    def publish(self, repo: str, revision: str, folder: Path) -> None:
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
        self.branches.setdefault(repo, {})[revision] = files

    def commit(self, repo: str, revision: str) -> str:
        files = self.branches[repo][revision]
        parts = [revision, *(f"{name}:{blob(content)}" for name, content in sorted(files.items()))]
        return hashlib.sha1("\n".join(parts).encode()).hexdigest()

    def by_commit(self, repo: str, commit: str) -> dict[str, bytes] | None:
        for revision, files in self.branches.get(repo, {}).items():
            if commit in (revision, self.commit(repo, revision)):
                return files
        return None

    def content(self, sha256: str) -> bytes | None:
        every = (c for r in self.branches.values() for files in r.values() for c in files.values())
        return next((c for c in every if hashlib.sha256(c).hexdigest() == sha256), None)

    def record(self, **facts) -> Request:
        with self._guard:
            request = Request(number=len(self.requests), **facts)
            self.requests.append(request)
        return request


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    scheme: str

    def log_message(self, *arguments) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer()

    def answer(self) -> None:
        url = urlsplit(self.path)  # as a proxy it is asked for whole URLs
        start = int((self.headers.get("Range") or "bytes=0-")[6:].split("-")[0])
        request = self.hub.record(
            method=self.command,
            path=unquote(url.path),
            offset=start,
            token=self.headers.get("Authorization"),
            target=self.path,
        )
        fault = self.hub.fault(request)
        try:
            if fault and fault.kind == "status":
                self.reply(fault.status, b"try later", fault.headers)
            elif fault and fault.kind == "hang":
                time.sleep(fault.seconds)
                self.close_connection = True
            elif fault and fault.kind == "page":
                self.reply(200, b"<!doctype html><title>Sign in</title>", {"Content-Type": "text/html; charset=utf-8"})
            else:
                self.route(unquote(url.path), parse_qs(url.query), start, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def route(self, path: str, query: dict, start: int, fault: Fault | None) -> None:
        parts = path.strip("/").split("/")
        if parts[0] == "cdn":
            return self.body(self.hub.content(parts[1]) or b"", start, {"ETag": f'"{parts[1]}"'}, fault)
        api = parts.pop(0) if parts[0] == "api" else ""
        kind = parts.pop(0) + "/" if parts[0] == "datasets" or api else ""
        repo, rest = kind.removeprefix("models/") + "/".join(parts[:2]), parts[2:] or ["revision", "main"]
        if api and rest[0] == "xet-read-token":
            self.xet_token()
        elif api and rest[0] == "refs":
            named = self.hub.branches.get(repo, {})
            branches = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": self.hub.commit(repo, n)} for n in named]
            answer = json.dumps({"branches": branches, "converts": [], "tags": []}).encode()
            self.body(answer, 0, {"Content-Type": "application/json"}, fault) if named else self.missing("RepoNotFound")
        elif api:
            self.listing(repo, rest[0], rest[1], "/".join(rest[2:]), fault)
        elif rest[0] == "resolve":
            self.resolve(repo, rest[1], "/".join(rest[2:]), start, fault)
        else:
            self.missing("EntryNotFound")

    def listing(self, repo: str, kind: str, revision: str, folder: str, fault: Fault | None) -> None:
        """What a branch holds: as a whole (``revision``), below a folder (``tree``), or of some paths (``paths-info``)."""
        if repo not in self.hub.branches:
            return self.missing("RepoNotFound")
        files = self.hub.by_commit(repo, revision)
        if files is None:
            return self.missing("RevisionNotFound")
        entries = [describe(path, content) for path, content in files.items()]
        if kind == "revision":
            name = next(n for n, f in self.hub.branches[repo].items() if f is files)
            siblings = [{"rfilename": entry["path"], "blobId": entry["oid"], **entry} for entry in entries]
            answer = {"id": repo.removeprefix("datasets/"), "sha": self.hub.commit(repo, name), "siblings": siblings}
        else:
            folders = sorted({"/".join(p.split("/")[:depth]) for p in files for depth in range(1, p.count("/") + 1)})
            entries += [{"type": "directory", "path": path, "oid": "0" * 40, "size": 0} for path in folders]
            asked = self.asked["paths"] if kind == "paths-info" else None
            start = f"{folder}/" if folder else ""
            answer = [e for e in entries if (e["path"] in asked if asked is not None else e["path"].startswith(start))]
            if kind == "tree" and not answer:
                return self.missing("EntryNotFound")
        self.body(json.dumps(answer).encode(), 0, {"Content-Type": "application/json"}, fault)

    def resolve(self, repo: str, commit: str, filename: str, start: int, fault: Fault | None) -> None:
        content = (self.hub.by_commit(repo, commit) or {}).get(filename)
        if content is None:
            return self.missing("EntryNotFound")
        name = next(n for n, f in self.hub.branches[repo].items() if f is self.hub.by_commit(repo, commit))
        common = {"X-Repo-Commit": self.hub.commit(repo, name)}
        if len(content) < LARGE:
            return self.body(content, start, common | {"ETag": f'"{blob(content)}"'}, fault)
        digest = hashlib.sha256(content).hexdigest()
        # Another host, as the Hub's content network is.
        network = f"{self.scheme}://localhost:{self.server.server_address[1]}"
        place = {
            "Location": f"{network}/cdn/{digest}?signature=SIGNED",
            "X-Linked-ETag": f'"{digest}"',
            "X-Linked-Size": str(len(content)),
        }
        if self.hub.xet:
            route = f"http://{self.headers['Host']}/api/models/{repo}/xet-read-token/{commit}"
            place |= {"X-Xet-Hash": digest, "X-Xet-Refresh-Route": route}
        self.reply(302, b"", common | place)

    def xet_token(self) -> None:
        if self.hub.xet_place is None:
            return self.missing("EntryNotFound")
        place = {"X-Xet-Cas-Url": self.hub.xet_place, "X-Xet-Access-Token": "t", "X-Xet-Token-Expiration": "9" * 10}
        self.reply(200, b"{}", place)

    def missing(self, code: str) -> None:
        self.reply(404, b"{}", {"X-Error-Code": code})

    def body(self, content: bytes, start: int, headers: dict[str, str], fault: Fault | None) -> None:
        rest = content[start:]
        status = 206 if start else 200
        if start:
            headers = headers | {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        position = int((fault.at if fault else 0) * max(len(rest) - 1, 0))
        if fault and fault.kind == "flip" and rest:
            rest = rest[:position] + bytes([rest[position] ^ 1]) + rest[position + 1 :]
        if fault and fault.kind == "short":
            rest = rest[:position]
        if fault and fault.kind in ("cut", "stall"):
            self.start(status, len(rest), headers)
            self.send(rest[:position])
            if fault.kind == "stall":
                time.sleep(fault.seconds)
            self.close_connection = True
            return
        self.reply(status, rest, headers)

    def start(self, status: int, length: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.start(status, len(content), headers)
        self.send(content)

    def send(self, content: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(content)
            self.wfile.flush()
            self.hub.sent += len(content)


@contextmanager
def serving(hub: Hub, encrypted: ssl.SSLContext | None = None) -> Iterator[str]:
    """Yields the endpoint while a thread serves the hub."""
    scheme = "https" if encrypted else "http"
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub, "scheme": scheme}))
    if encrypted:
        server.socket = encrypted.wrap_socket(server.socket, server_side=True)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
