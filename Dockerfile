# The workflow with the environment of the locks. Builds of torch for one CUDA version or for CPUs only: --build-arg TORCH_INDEX=ADDRESS.
FROM python:3.11-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends git make \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/w2sg
COPY Makefile ./
COPY requirements requirements
ARG TORCH_INDEX=
RUN PIP_EXTRA_INDEX_URL="$TORCH_INDEX" PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 make .venv/kubernetes.stamp

COPY w2sg w2sg
COPY snakemake_logger_plugin_w2sg snakemake_logger_plugin_w2sg
COPY workflow workflow
COPY config config
COPY profiles profiles
COPY envs envs
COPY resources/revisions resources/revisions
COPY resources/costs resources/costs
RUN make .venv/bin/w2sg
ENV PATH=/opt/w2sg/.venv/bin:$PATH

# A study works in the folder that is mounted here: docker run -v "$PWD:/study" IMAGE w2sg run mine.yaml
WORKDIR /study
CMD ["w2sg", "--help"]
