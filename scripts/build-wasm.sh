#!/usr/bin/env bash
# Builds the crate of every kind of room in web-client/wasm for the browser and writes their packages to web-client/pkg.
#
# This script alone decides which Rust toolchain compiles for wasm32; nothing else in the build knows:
#   1. the usual toolchain, if it has the target;
#   2. the usual toolchain after `rustup target add`;
#   3. Debian's own Rust with the standard library built from source (for machines that reach a Debian mirror and a
#      crate registry, but not rustup's server);
#   4. a sentence that says what to install.
# What is up to date is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."

TARGET=wasm32-unknown-unknown
DEBIAN_PACKAGES=(rustc-web cargo-web rust-web-src lld)
export CARGO_TARGET_DIR=target
PACKAGES=web-client/pkg
# Touched when a package was written: what depends on them looks at it alone.
BUILT=$PACKAGES/.built
# A kind is a folder there, and its crate is called after it.
KINDS=()
for folder in web-client/wasm/*/; do KINDS+=("$(basename "$folder")"); done
CRATES=("${KINDS[@]/#/--package=wasm-}")

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

has_target() { compgen -G "$(rustc --print target-libdir --target $TARGET 2>/dev/null)/libstd-*.rlib" >/dev/null; }

add_target() {
    command -v rustup >/dev/null || return 1
    say "Adding the Rust target $TARGET"
    # One try: where rustup's server cannot be reached, the next route is as good.
    RUST_BACKTRACE=0 RUSTUP_MAX_RETRIES=0 rustup target add $TARGET >&2 && has_target
}

has_debian_rust() { command -v dpkg-query >/dev/null && dpkg-query -W "${DEBIAN_PACKAGES[@]}" >/dev/null 2>&1; }

add_debian_rust() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    say "Installing Debian's Rust for the web (${DEBIAN_PACKAGES[*]}), about half a minute"
    apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${DEBIAN_PACKAGES[@]}" >&2
}

build_with_usual_rust() { cargo build --profile wasm --target $TARGET "${CRATES[@]}"; }

# Only Debian's cargo and rustc may be found here: rustup's would not accept the other's standard library. Registry
# settings (CARGO_HOME and the environment) stay as they are.
build_with_debian_rust() {
    PATH=/usr/bin:/bin RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld \
        cargo build --profile wasm -Zbuild-std=std,panic_abort --target $TARGET "${CRATES[@]}"
}

build_wasm() {
    if has_target || add_target; then
        say "Compiling the browser's half of every kind of room (wasm)"
        build_with_usual_rust
    elif has_debian_rust || add_debian_rust; then
        say "Compiling the browser's half of every kind of room (wasm) with Debian's Rust; the first time takes a minute more"
        build_with_debian_rust
    else
        echo "The browser's half of a room needs the Rust target $TARGET: run \`rustup target add $TARGET\`, or on" \
            "Debian, as root, \`apt-get install ${DEBIAN_PACKAGES[*]}\`, then start again." >&2
        exit 1
    fi
}

# The generator is used for a second and compiled for a minute, so compiling it fast matters and its speed does not.
build_bindgen() {
    cargo build -p bindgen --profile tool \
        --config 'profile.tool.inherits="dev"' --config profile.tool.opt-level=0 --config profile.tool.debug=false
}

write_package() { # kind
    local wasm=target/$TARGET/wasm/wasm_$1.wasm package=$PACKAGES/$1_bg.wasm
    if [ "$package" -nt "$wasm" ] && [ "$package" -nt target/tool/bindgen ]; then return; fi
    say "Writing the package $PACKAGES/$1.js"
    target/tool/bindgen "$wasm" "$PACKAGES" "$1"
    touch "$BUILT"
}

build_wasm
build_bindgen
for kind in "${KINDS[@]}"; do write_package "$kind"; done
