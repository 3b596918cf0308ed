# Two targets from one build: `server` answers HTTP, `worker` trains and scores.
FROM python:3.12-slim AS build
WORKDIR /src
RUN python -m venv /opt/sfumato
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY app app
COPY worker worker
COPY migrations migrations
RUN /opt/sfumato/bin/pip install --no-cache-dir -c constraints.txt .

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
