# One image with the four programs. The broker is what it runs; others are named as entry point (docker-compose.yml).
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends build-essential cmake ninja-build pkg-config libzmq3-dev libczmq-dev \
        libprotobuf-c-dev protobuf-c-compiler liblmdb-dev libjansson-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_PREFIX=/usr -DNQ_TESTS=OFF && cmake --build /build \
        && DESTDIR=/out cmake --install /build --strip

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends libzmq5 libczmq4 libprotobuf-c1 liblmdb0 libjansson4 \
        && rm -rf /var/lib/apt/lists/*
COPY --from=build /out/usr/bin/ /usr/bin/
COPY packaging/lab/ /usr/lib/netqueue-lab/
# Folders are owned before a volume is put over them: a new volume takes that over.
RUN install -d -m 0700 -o 10001 -g 10001 /var/lib/netqueue /keys /keys/broker /keys/producer /keys/consumer /keys/admin
USER 10001:10001
VOLUME /var/lib/netqueue
EXPOSE 5510
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=2s --timeout=3s --start-period=20s CMD ["netqueue", "ping", "-q", "--timeout", "1s"]
ENTRYPOINT ["netqueue-broker"]
CMD ["--data", "/var/lib/netqueue"]
