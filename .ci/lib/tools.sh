# shellcheck shell=bash
# What a fresh machine with Rust and Python lacks. Everything but Debian's packages stays below target/.

TOOLS=target/ci

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Where initdb and postgres are; nothing if they are nowhere.
postgres_bin() {
    local folder
    for folder in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /)")"; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return
        fi
    done
}

install_tools() {
    if [ -z "$(postgres_bin)" ] || ! python3 -c 'import ensurepip' 2>/dev/null; then
        as_root apt-get update -qq
        as_root apt-get install -y -qq --no-install-recommends postgresql python3-venv >/dev/null
    fi
    mkdir -p "$TOOLS"
    if ! cmp -s .ci/requirements.txt "$TOOLS/venv/requirements.txt"; then
        rm -rf "$TOOLS/venv"
        python3 -m venv "$TOOLS/venv"
        "$TOOLS/venv/bin/pip" install --quiet --requirement .ci/requirements.txt
        cp .ci/requirements.txt "$TOOLS/venv/requirements.txt"
    fi
    if wanted sql && ! "$TOOLS/bin/sqlx" --version 2>/dev/null | grep -q ' 0\.9\.'; then
        # A target directory of its own, thrown away: its features are not ours.
        CARGO_TARGET_DIR=$TOOLS/build cargo install sqlx-cli --version '^0.9' --locked --quiet --force \
            --no-default-features --features rustls,postgres,sqlx-toml --root "$TOOLS"
        rm -rf "$TOOLS/build"
    fi
    rustc --version
    buf --version
    cargo deny --version
    cargo nextest --version | head -n 1
    "$(postgres_bin)/postgres" --version
}
