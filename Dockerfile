# One target per role: pipeline, trainer, runtime, controller; `make images` builds them. docs/images.md says more.
# Layers go from what changes seldom to what changes often; Lockgate itself is the last, and the same in all.
ARG BASE=docker.io/library/python:3.13-slim
# Whose packages the target sbom lists.
ARG ROLE=pipeline

# An empty environment, and a user who owns nothing.
FROM ${BASE} AS base
RUN python3 -m venv --without-pip /opt/lockgate \
 && groupadd --gid 65532 lockgate \
 && useradd --uid 65532 --gid 65532 --no-log-init --home-dir /tmp --no-create-home --shell /usr/sbin/nologin lockgate
ENV PATH=/opt/lockgate/bin:$PATH \
    HOME=/tmp TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    TF_CPP_MIN_LOG_LEVEL=2
COPY images/install requirements/build.txt /opt/install/

# Lockgate itself.
FROM base AS lockgate
ARG PIP_INDEX_URL=
RUN python3 -m venv /opt/tools \
 && /opt/tools/bin/pip install --quiet --no-cache-dir --require-hashes --requirement /opt/install/build.txt
COPY pyproject.toml README.md /source/
COPY lockgate /source/lockgate
COPY components /source/components
COPY pipelines /source/pipelines
COPY serving /source/serving
RUN /opt/tools/bin/uv build --quiet --wheel --no-build-isolation --python /opt/tools/bin/python --out-dir /wheel /source \
 && VIRTUAL_ENV=/opt/lockgate /opt/tools/bin/uv pip install --quiet --no-cache --no-deps --compile-bytecode /wheel/*.whl

# What the three images with TensorFlow share.
FROM base AS shared
ARG PIP_INDEX_URL=
COPY requirements/shared.txt /opt/install/
RUN --mount=type=cache,target=/var/cache /opt/install/install /opt/install/shared.txt

FROM shared AS serving
ARG PIP_INDEX_URL=
COPY requirements/runtime.txt /opt/install/
RUN --mount=type=cache,target=/var/cache /opt/install/install /opt/install/runtime.txt

FROM serving AS steps
ARG PIP_INDEX_URL=
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git openssh-client > /dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY requirements/pipeline.txt requirements/stand-ins/farmhash.py /opt/install/
RUN --mount=type=cache,target=/var/cache /opt/install/install /opt/install/pipeline.txt \
 && mv /opt/install/farmhash.py /opt/lockgate/lib/python3.*/site-packages/

FROM shared AS training
ARG PIP_INDEX_URL=
# gpu: tensorflow[and-cuda]
ARG TENSORFLOW=cpu
COPY requirements/trainer-${TENSORFLOW}.txt /opt/install/
RUN --mount=type=cache,target=/var/cache /opt/install/install /opt/install/trainer-${TENSORFLOW}.txt

# Git for promotions and rollbacks that are commits.
FROM base AS control
ARG PIP_INDEX_URL=
RUN apt-get update -qq \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git openssh-client > /dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY requirements/controller.txt /opt/install/
RUN --mount=type=cache,target=/var/cache /opt/install/install /opt/install/controller.txt

# The light image leaves out of the base what no program reads; a layer that deletes would save nothing.
# Perl's library is for those of Git's commands that are scripts; clone, commit and push are none.
FROM control AS slim
RUN rm -rf /usr/share/doc /usr/share/locale /usr/share/man /usr/share/python-wheels /usr/bin/pip* /usr/local/bin/pip* \
 && rm -rf /usr/share/perl /usr/share/perl5 /usr/lib/*-linux-gnu/perl \
 && find / -xdev -type d \( -name pip -o -name ensurepip \) -path '*/python3*' -prune -exec rm -rf {} +

FROM scratch AS light
COPY --from=slim / /
ENV PATH=/opt/lockgate/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/tmp TMPDIR=/tmp \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1

# The roles.
FROM light AS controller
LABEL org.opencontainers.image.title="Lockgate controller"
COPY --from=lockgate /opt/lockgate /opt/lockgate
USER 65532:65532
ENTRYPOINT ["lockgate"]

FROM serving AS runtime
LABEL org.opencontainers.image.title="Lockgate model server"
COPY --from=lockgate /opt/lockgate /opt/lockgate
USER 65532:65532
ENTRYPOINT ["python3", "-m", "serving.runtime"]

FROM training AS trainer
LABEL org.opencontainers.image.title="Lockgate training"
COPY --from=lockgate /opt/lockgate /opt/lockgate
USER 65532:65532

FROM steps AS pipeline
LABEL org.opencontainers.image.title="Lockgate pipeline steps"
COPY --from=lockgate /opt/lockgate /opt/lockgate
USER 65532:65532

# What is in an image, as CycloneDX: `make sbom`.
FROM base AS lister
ARG PIP_INDEX_URL=
COPY requirements/sbom.txt /opt/install/
RUN python3 -m venv /opt/sbom \
 && /opt/sbom/bin/pip install --quiet --no-cache-dir --require-hashes --requirement /opt/install/sbom.txt

FROM ${ROLE} AS listed
USER 0:0
COPY --from=lister /opt/sbom /opt/sbom
RUN /opt/sbom/bin/cyclonedx-py environment --output-reproducible --output-file /sbom.json /opt/lockgate/bin/python3

FROM scratch AS sbom
COPY --from=listed /sbom.json /
