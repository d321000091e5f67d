# The images of vodmill: api (also the dispatcher and the migrations), worker-cpu, worker-transfer, worker-gpu, ingest.
#
#   docker build --target api -t vodmill/api .
#
# Images of your own registry, or with fixed digests, are named by the arguments.
ARG DEBIAN_IMAGE=debian:bookworm-slim
ARG CUDA_IMAGE=nvidia/cuda:12.8.1-base-ubuntu24.04

# ---- Python packages, locked with hashes -----------------------------------------------------------------------

FROM ${DEBIAN_IMAGE} AS packages
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python3 -m venv /opt/vodmill \
    && /opt/vodmill/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r /tmp/runtime.txt

# A virtualenv belongs to one Python: the CUDA image has another.
FROM ${CUDA_IMAGE} AS packages-gpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/runtime.txt /tmp/runtime.txt
RUN python3 -m venv /opt/vodmill \
    && /opt/vodmill/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: -r /tmp/runtime.txt

# ---- what the page loads in browsers, locked with hashes --------------------------------------------------------

FROM ${DEBIAN_IMAGE} AS page
RUN apt-get update \
    && apt-get install -y --no-install-recommends nodejs npm ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY webui/package.json webui/package-lock.json /tmp/page/
RUN cd /tmp/page && npm ci --ignore-scripts --no-audit --no-fund && npm run vendor

# ---- what all processes share ----------------------------------------------------------------------------------

FROM ${DEBIAN_IMAGE} AS vodmill
# ffprobe, and an ffmpeg for old GPU drivers; the ffmpeg that encodes is one of the Python packages. bubblewrap and
# libseccomp2 are its jail, where the container allows namespaces. The font is that of watermarks. tini reaps what a killed process leaves.
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 ffmpeg fonts-dejavu-core bubblewrap libseccomp2 tini ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vodmill \
    && install -d -o vodmill -g vodmill -m 0700 /var/lib/vodmill
COPY --from=packages /opt/vodmill /opt/vodmill
COPY . /srv/vodmill
WORKDIR /srv/vodmill
ENV PATH=/opt/vodmill/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TRANSCODER_SCRATCH_PATH=/var/lib/vodmill
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--"]

FROM vodmill AS api
COPY --from=page /tmp/page/static/webui/vendor webui/static/webui/vendor
EXPOSE 8000
CMD ["python", "-m", "transcoder_site.server", "--host", "0.0.0.0", "--port", "8000", "--grace-seconds", "25"]

FROM vodmill AS worker-cpu
ENV TRANSCODER_WORKER_QUEUE=cpu
CMD ["python", "-m", "celery", "-A", "transcoder_site", "worker", "--without-gossip", "--without-mingle", \
     "--loglevel", "INFO"]

FROM vodmill AS worker-transfer
ENV TRANSCODER_WORKER_QUEUE=transfer
CMD ["python", "-m", "celery", "-A", "transcoder_site", "worker", "--without-gossip", "--without-mingle", \
     "--loglevel", "INFO"]

# nginx with its RTMP module, which publishers of live streams connect to. Its hooks are beside it, on loopback.
FROM vodmill AS ingest
USER root
RUN apt-get update \
    && apt-get install -y --no-install-recommends nginx-light libnginx-mod-rtmp libnginx-mod-stream \
    && rm -rf /var/lib/apt/lists/*
USER 10001:10001
EXPOSE 1935
CMD ["sh", "-c", "umask 077 && python manage.py ingest_configuration > /tmp/nginx.conf && exec nginx -e stderr -c /tmp/nginx.conf"]

# ---- the GPU worker --------------------------------------------------------------------------------------------

# The driver's libraries come from the host, by the NVIDIA container toolkit; `video` is what brings NVENC and NVDEC.
FROM ${CUDA_IMAGE} AS worker-gpu
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 ffmpeg fonts-dejavu-core bubblewrap libseccomp2 tini ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin vodmill \
    && install -d -o vodmill -g vodmill -m 0700 /var/lib/vodmill
COPY --from=packages-gpu /opt/vodmill /opt/vodmill
COPY . /srv/vodmill
WORKDIR /srv/vodmill
ENV PATH=/opt/vodmill/bin:/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,video,utility \
    TRANSCODER_SCRATCH_PATH=/var/lib/vodmill \
    TRANSCODER_WORKER_QUEUE=gpu
USER 10001:10001
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python", "-m", "celery", "-A", "transcoder_site", "worker", "--without-gossip", "--without-mingle", \
     "--loglevel", "INFO"]
