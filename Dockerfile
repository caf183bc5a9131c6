# Everything but the worker: `yeeter serve`, `yeeter db upgrade`, `yeeter run`, `yeeter autoscaler`.
# docs/containers.md says how to build and run it. Dockerfile.worker begins with the same stage, which is built once.
#
# 3.12: every dependency has a wheel for it on x86-64, and it gets security fixes until October 2028.
ARG PYTHON_IMAGE=python:3.12-slim
# What it is built with. ARM needs one with a compiler, python:3.12, as hdrhistogram has no wheel there.
ARG BUILD_IMAGE=${PYTHON_IMAGE}

# Everything that is locked, checked against its hash. What an image needs of it is chosen below.
FROM ${BUILD_IMAGE} AS wheels
WORKDIR /build
COPY requirements-images.lock ./
RUN pip wheel --quiet --no-deps --require-hashes --wheel-dir wheels \
        --requirement requirements-images.lock

# The dependencies are installed for an empty project, so that they are a layer that changes only with them.
FROM wheels AS dependencies
COPY pyproject.toml ./
# There are no other versions in wheels than the locked ones.
# hadolint ignore=DL3013
RUN mkdir app alembic && touch app/__init__.py README.md \
    && python -m venv --without-pip /opt/yeeter \
    && pip --python /opt/yeeter/bin/python install --quiet --no-cache-dir --no-index --find-links wheels --no-compile \
        ".[api,kubernetes,object-store]" \
    && pip --python /opt/yeeter/bin/python uninstall --quiet --yes hl7-yeeter \
    && find /opt/yeeter -type d -name tests -prune -exec rm -r {} + \
    && python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash -x /kubernetes/aio/ /opt/yeeter/lib

FROM dependencies AS project
COPY README.md LICENSE ./
COPY app app
COPY alembic alembic
RUN pip --python /opt/yeeter/bin/python install --quiet --no-cache-dir --no-index --find-links wheels --no-compile \
        --no-deps --prefix /project . \
    && python -m compileall -q -f -j 0 --invalidation-mode unchecked-hash /project/lib

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/yeeter --shell /usr/sbin/nologin yeeter \
    && install -d -o yeeter -g yeeter /etc/yeeter /var/lib/yeeter /var/lib/yeeter/studies
COPY --from=dependencies /opt/yeeter /opt/yeeter
COPY --from=project /project /opt/yeeter
ENV PATH=/opt/yeeter/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    YEETER_HOME=/var/lib/yeeter \
    YEETER_HOST=0.0.0.0 \
    YEETER_PORT=8000 \
    YEETER_LOG_FORMAT=json
USER 10001:10001
WORKDIR /var/lib/yeeter
VOLUME /var/lib/yeeter
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "from http.client import HTTPConnection; from os import environ; c = HTTPConnection('127.0.0.1', int(environ['YEETER_PORT']), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["yeeter"]
CMD ["serve"]

ARG SOURCE=""
ARG VERSION=0.1.0
ARG REVISION=""
LABEL org.opencontainers.image.title="HL7 Yeeter" \
      org.opencontainers.image.description="Plays a hospital's imaging department at load: API, command line and autoscaler." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
