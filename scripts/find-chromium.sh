#!/usr/bin/env bash
# Prints the path of a Chromium for the browser tests, and only that; what it does meanwhile goes to standard error.
#
#   1. CHROMIUM, if set;
#   2. a Chromium or Chrome on the PATH;
#   3. Playwright's own download, fetched if it can be and if it starts here;
#   4. Debian's package, installed if we are root;
#   5. a sentence that says what to install.
set -euo pipefail
cd "$(dirname "$0")/../web-client"

NAMES=(chromium chromium-browser google-chrome google-chrome-stable)
DOWNLOAD_TIMEOUT_S=300

say() { printf '\033[1m==>\033[0m %s\n' "$*" >&2; }

on_path() {
    local name
    for name in "${NAMES[@]}"; do
        command -v "$name" && return
    done
    return 1
}

# Playwright's browser needs libraries that a bare machine lacks, so it counts only if it starts.
playwrights() {
    local path
    path=$(node -e 'console.log(require("@playwright/test").chromium.executablePath())') || return 1
    [ -x "$path" ] && "$path" --version >/dev/null 2>&1 && echo "$path"
}

download() {
    say "Downloading a Chromium for the browser tests"
    timeout "$DOWNLOAD_TIMEOUT_S" npx playwright install chromium >&2 && playwrights
}

install() {
    command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || return 1
    say "Installing Debian's Chromium for the browser tests"
    apt-get update -qq >&2 &&
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >&2 && on_path
}

if [ -n "${CHROMIUM:-}" ]; then
    if ! command -v "$CHROMIUM"; then
        echo "CHROMIUM is set to \"$CHROMIUM\", which is not a program." >&2
        exit 1
    fi
elif ! on_path && ! playwrights && ! download && ! install; then
    echo "The browser tests need a Chromium: install one (Debian: \`apt-get install chromium\`), or set CHROMIUM to the" \
        "path of one, then start again." >&2
    exit 1
fi
