# One Dockerfile for every image. A service carries its own package, contracts/, shared/ and its locked requirements:
#
#   docker build --build-arg SERVICE=encryption --tag causeway/encryption .
#   docker build --target cli --tag causeway/cli .
#
# Nothing here is a secret, and nothing of a site: keys, certificates and passwords are mounted (docs/operations/keys.md).

ARG PYTHON=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON} AS base
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app \
    PATH=/opt/causeway/bin:${PATH} \
    HOME=/tmp
# Volumes take owner and mode of these folders when they are first mounted there.
RUN groupadd --gid 10001 causeway && \
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin causeway && \
    mkdir -p /app /run/causeway && \
    for folder in spool landing deid work sealed keys summaries targets kek projects secrets traces nats cloud-a cloud-b; do \
        install -d -m 0700 -o 10001 -g 10001 "/var/lib/causeway/${folder}"; \
    done
WORKDIR /app

# The requirements of one image; `--require-hashes` refuses whatever is not exactly what was locked.
FROM base AS service-requirements
ARG SERVICE
COPY services/${SERVICE}/requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/causeway && \
    python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --only-binary :all: --require-hashes --requirement /tmp/requirements.txt && \
    python -m pip uninstall --quiet --yes pip setuptools

FROM base AS cli-requirements
COPY cli/requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/causeway && \
    python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-deps --only-binary :all: --require-hashes --requirement /tmp/requirements.txt && \
    python -m pip uninstall --quiet --yes pip setuptools

# The operator's command and the one-shot jobs: `python -m cli.setup secrets`, `… provision`.
FROM base AS cli
COPY --from=cli-requirements /opt/causeway /opt/causeway
COPY contracts/ contracts/
COPY shared/ shared/
COPY services/__init__.py services/__init__.py
COPY services/dicom_ingest/__init__.py services/dicom_ingest/__init__.py
COPY services/dicom_ingest/domain/ services/dicom_ingest/domain/
COPY cli/ cli/
RUN python -m compileall -q /app
USER 10001:10001
ENTRYPOINT ["python", "-m"]
CMD ["cli.main", "--help"]

FROM base AS service
ARG SERVICE
COPY --from=service-requirements /opt/causeway /opt/causeway
COPY contracts/ contracts/
COPY shared/ shared/
COPY services/__init__.py services/__init__.py
COPY services/${SERVICE}/ services/${SERVICE}/
RUN test -n "${SERVICE}" && python -m compileall -q /app
USER 10001:10001
ENV APP=services.${SERVICE}.app:build \
    CAUSEWAY_HTTP_PORT=8443
EXPOSE 8443
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 \
    CMD python -I -S shared/http/probe.py "${CAUSEWAY_HTTP_PORT}"
ENTRYPOINT ["sh", "-c", "exec python -m shared.service \"${APP}\""]
