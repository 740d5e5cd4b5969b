# One image for all roles: `raincheck` with a subcommand. Without one it runs everything in one process over SQLite.
FROM rust:1-bookworm AS build
WORKDIR /build

# The dependencies, built from the manifests alone: a change of sources does not build them again.
COPY Cargo.toml Cargo.lock ./
COPY api/Cargo.toml api/
COPY clients/rust/Cargo.toml clients/rust/
COPY fuzz/Cargo.toml fuzz/
COPY proof/Cargo.toml proof/
COPY proof/model/Cargo.toml proof/model/
COPY shared/Cargo.toml shared/
COPY worker/Cargo.toml worker/
RUN mkdir -p src tests api/src clients/rust/src fuzz/src fuzz/targets proof/src proof/model/src shared/src worker/src \
    && echo 'fn main() {}' | tee src/main.rs >tests/main.rs \
    && touch api/src/lib.rs clients/rust/src/lib.rs fuzz/src/lib.rs fuzz/targets/any.rs shared/src/lib.rs worker/src/lib.rs \
    && touch proof/src/lib.rs proof/model/src/lib.rs \
    && cargo build --release --locked

# The sources. Their times may be older than the build above, which cargo would take for "unchanged".
COPY . .
RUN touch src/main.rs api/src/lib.rs clients/rust/src/lib.rs shared/src/lib.rs worker/src/lib.rs \
    && cargo build --release --locked

FROM debian:bookworm-slim
COPY --from=build /build/target/release/raincheck /usr/local/bin/raincheck
COPY deploy/raincheck.toml /etc/raincheck/raincheck.toml
RUN install -d -o 10001 -g 10001 /var/lib/raincheck
# `raincheck.toml` is looked for in the working directory.
WORKDIR /etc/raincheck
USER 10001:10001
EXPOSE 8080
ENTRYPOINT ["raincheck"]
CMD ["up"]
