"""As much of the Kubernetes interface as Snakemake's executor calls: a job's container becomes a process in an empty folder."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import yaml

JOB = re.compile(r"/apis/batch/v1/namespaces/([\w-]+)/jobs(?:/([\w-]+))?(/status)?")
SECRET = re.compile(r"/api/v1/namespaces/[\w-]+/secrets(?:/([\w-]+))?")
PODS = re.compile(r"/api/v1/namespaces/[\w-]+/pods")


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A job that was submitted."""

    namespace: str
    container: dict
    """Its container as described in the request."""
    folder: Path
    """What the container sees as its working directory; nothing of the submitting machine is in it."""
    process: subprocess.Popen

    def status(self) -> dict:
        code = self.process.poll()
        return {"active": 1} if code is None else {"succeeded": 1} if code == 0 else {"failed": 1}


@dataclass
class Api:
    """The state behind the server."""

    root: Path
    pods: dict[str, Pod] = field(default_factory=dict)
    secrets: dict[str, dict[str, str]] = field(default_factory=dict)

    def start(self, namespace: str, job: dict) -> dict:
        name = job["metadata"]["name"]
        container = job["spec"]["template"]["spec"]["containers"][0]
        folder = self.root / name
        folder.mkdir(parents=True)
        environment = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(folder)}
        # Where packages come from is a matter of the machine, as it is one of the image in a real pod.
        environment |= {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "OMP_"))}
        for variable in container["env"]:
            key = variable["valueFrom"]["secretKeyRef"]
            environment[variable["name"]] = base64.b64decode(self.secrets[key["name"]][key["key"]]).decode()
        with (folder / "pod.log").open("w") as log:
            process = subprocess.Popen(
                [*container["command"], *container["args"]], cwd=folder, env=environment,
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.pods[name] = Pod(namespace=namespace, container=container, folder=folder, process=process)
        return job

    def answer(self, method: str, path: str, body: dict) -> dict:
        path = path.split("?")[0]
        if found := JOB.fullmatch(path):
            namespace, name = found[1], found[2]
            if method == "POST":
                return self.start(namespace, body)
            if method == "DELETE":
                self.end(self.pods[name])
            return {"metadata": {"name": name}, "status": self.pods[name].status()}
        if found := SECRET.fullmatch(path):
            if method == "POST":
                self.secrets[body["metadata"]["name"]] = body["data"]
            else:
                self.secrets.pop(found[1])
            return {"status": "Success"}
        if PODS.fullmatch(path):
            return {"items": []}
        raise KeyError(f"{method} {path}")

    @staticmethod
    def end(pod: Pod) -> None:
        if pod.process.poll() is None:
            os.killpg(pod.process.pid, signal.SIGKILL)
            pod.process.wait()


def _handler(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            content = json.dumps(api.answer(self.command, self.path, body)).encode()
            self.send_response(201 if self.command == "POST" else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_one

        def log_message(self, *arguments: object) -> None:
            pass

    return Handler


@contextmanager
def serving(root: Path) -> Iterator[tuple[Api, Path]]:
    """Yields the pretended cluster and the file that KUBECONFIG must name."""
    api = Api(root / "pods")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    config = root / "kubeconfig.yaml"
    config.write_text(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": address}}],
        "users": [{"name": "test", "user": {}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }))  # fmt: skip
    try:
        yield api, config
    finally:
        for pod in api.pods.values():
            api.end(pod)
        server.shutdown()
        server.server_close()
