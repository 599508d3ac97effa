# syntax=docker/dockerfile:1
# Two images from one file: `--target lobby` and `--target gameserver`. Each holds one binary, with its page inside.

FROM rust:1.95-slim-bookworm AS rust
WORKDIR /src
RUN rustup target add wasm32-unknown-unknown

# The browser's half of the game.
FROM rust AS wasm
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=wasm \
    scripts/build-wasm.sh

# The pages.
FROM node:22-bookworm-slim AS pages
WORKDIR /src/web-client
COPY web-client/package.json web-client/package-lock.json web-client/.npmrc ./
RUN npm ci
COPY web-client ./
COPY --from=wasm /src/web-client/pkg pkg
RUN npm run build

# The binaries. The cache is not part of the image, so they are copied out of it.
FROM rust AS binaries
COPY . .
COPY --from=pages /src/web-client/dist web-client/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,id=binaries \
    cargo build --release --locked -p lobby -p net \
    && mkdir /out && cp target/release/lobby target/release/gameserver /out/

FROM debian:bookworm-slim AS runtime
# Nobody: the binaries write nothing and listen above 1024.
USER 65534:65534
ENV PORT=8080
EXPOSE 8080

FROM runtime AS lobby
COPY --from=binaries /out/lobby /usr/local/bin/lobby
ENTRYPOINT ["lobby"]

FROM runtime AS gameserver
# Whom to trust as the object store.
COPY --from=rust /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=binaries /out/gameserver /usr/local/bin/gameserver
COPY scripts/as-nobody.sh /usr/local/bin/as-nobody
# Begins as root and becomes nobody with the right to let ticks go first.
USER 0:0
ENTRYPOINT ["as-nobody", "gameserver"]
