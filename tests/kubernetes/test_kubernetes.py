"""The Kubernetes profile with the real executor and storage plugins, against a pretended cluster and a bucket on this machine.

What it shows: the profile is accepted, the study plans, every pod gets what it needs through the bucket and asks for what the
profile says, and the tables are those of a local run. What it does not show: a real cluster, its scheduling, images, GPUs.
Needs the plugins and moto: `make kubernetes-test` installs them and runs this.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests import tiny
from tests.dag.conftest import ROOT, Workflow, study
from tests.hub_server import Hub
from tests.hub_server import serving as serving_hub
from tests.kubernetes.api import Api, serving

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "KUBERNETES_TEST" not in os.environ, reason="takes minutes, needs plugins and a package index: make kubernetes-test"
    ),
]  # fmt: skip


@pytest.fixture
def bucket() -> Iterator[str]:
    """The address of an S3 server with the profile's bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=address, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.create_bucket(Bucket="my-bucket")
    yield address
    server.stop()


@pytest.fixture
def cluster(tmp_path) -> Iterator[tuple[Api, Path]]:
    with serving(tmp_path) as running:
        yield running


@pytest.fixture
def published(tmp_path) -> Iterator[tuple[dict, str]]:
    """A study of two Hub models, and the Hub's address."""
    hub = Hub()
    tiny.save_revisions(tmp_path / "strong", "gpt_neox", [0, 8], width=32)
    tiny.save_revisions(tmp_path / "weak", "gpt_neox", [8])
    for step in (0, 8):
        hub.publish("owner/strong", f"step{step}", tmp_path / "strong" / f"step{step}")
    hub.publish("owner/weak", "main", tmp_path / "weak" / "step8")
    config = study(tmp_path / "inputs")
    entry = {"source": "hub", "dtype": "float32"}
    config["models"] |= {"remote": {**entry, "repo": "owner/strong"}, "remote-weak": {**entry, "repo": "owner/weak"}}
    config["families"] = {"remote": {"strong": "remote", "weak": "remote-weak", "weak_revision": "main"}}
    config["sweep"] = {"families": ["remote"], "datasets": ["mine"]}
    listed = tmp_path / "strong.tsv"
    listed.write_text("revision\tstep\ttokens_billion\nstep0\t0\t0\nstep8\t8\t8\n")
    config["models"]["remote"]["revisions"] = str(listed)
    with serving_hub(hub) as endpoint:
        yield config, endpoint


def without_commit(tables: dict[str, bytes]) -> dict[str, bytes]:
    """Pods get the code without its repository, so that a report made there cannot name the commit."""
    return {name: re.sub(rb"code at commit <code>[^<]*</code>", b"", content) for name, content in tables.items()}


def test_a_study_through_pods_and_a_bucket_equals_a_local_one(published, bucket, cluster, tmp_path, monkeypatch):
    config, endpoint = published
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    api, kubeconfig = cluster
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    (clone / "study.yaml").write_text(yaml.safe_dump(config))
    environment = {
        "KUBECONFIG": str(kubeconfig),
        "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "x",
        "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "x",
    }
    command = [
        sys.executable, "-m", "snakemake", "--workflow-profile", "profiles/kubernetes", "--configfile", "study.yaml",
        "--storage-s3-endpoint-url", bucket, "--envvars", "HF_ENDPOINT",
    ]  # fmt: skip
    for arguments in (["-n"], []):
        done = subprocess.run(
            [*command, *arguments], cwd=clone, env={**os.environ, **environment},
            capture_output=True, text=True, timeout=900, check=False,
        )  # fmt: skip
        logs = "".join(path.read_text()[-1500:] for path in api.root.glob("*/pod.log"))
        assert done.returncode == 0, done.stdout + done.stderr[-6000:] + logs

    profile = yaml.safe_load((ROOT / "profiles" / "kubernetes" / "config.yaml").read_text())
    requests = [pod.container["resources"]["requests"] for pod in api.pods.values()]
    assert len(requests) == 7, "three extractions, floors, supervisor, heads, report"
    assert sum("nvidia.com/gpu" in request for request in requests) == 3
    assert {pod.container["image"] for pod in api.pods.values()} == {profile["container-image"]}
    local = Workflow(folder=tmp_path / "local", config=config)
    local.folder.mkdir()
    local.run()
    assert without_commit(fetched(bucket, tmp_path / "fetched").tables()) == without_commit(local.tables())


def fetched(bucket: str, folder: Path) -> Workflow:
    """The results out of the bucket."""
    import boto3

    client = boto3.client(
        "s3", endpoint_url=bucket, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="my-bucket", Prefix="w2sg/results/"):
        for entry in page["Contents"]:
            target = folder / entry["Key"].removeprefix("w2sg/")
            target.parent.mkdir(parents=True, exist_ok=True)
            client.download_file("my-bucket", entry["Key"], str(target))
    return Workflow(folder=folder, config={})
