#!/usr/bin/env bash
# Checks for the tools that the build cannot fetch by itself, and says what to do about each one that is missing.
set -euo pipefail

NODE_MIN=20.19
missing=0

need() { # TOOL SENTENCE
    command -v "$1" >/dev/null && return
    printf '%s is missing: %s\n' "$1" "$2" >&2
    missing=1
}

need cargo "install Rust 1.95 or newer from https://rustup.rs, then open a new shell."
need cc "install a C compiler (Debian: apt-get install build-essential); Rust links with it."
need node "install Node.js $NODE_MIN or newer from https://nodejs.org or your system's packages."
need npm "install npm; it comes with Node.js, on some systems as a package of its own."

if command -v node >/dev/null && ! node -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
'; then
    echo "Node.js $(node --version) is too old: install version $NODE_MIN or newer." >&2
    missing=1
fi

exit "$missing"
