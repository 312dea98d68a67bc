# shellcheck shell=bash
# The steps that are one or two commands each.

check_format() {
    cargo fmt --all --check
}

check_scripts() {
    shellcheck --external-sources .ci/run .ci/api-baseline .ci/lib/*.sh tests/run
    hadolint deploy/docker/Dockerfile
}

check_proto() {
    buf lint proto
}

# Against the API of the last release, which `.ci/api-baseline` has recorded.
check_api() {
    buf breaking proto --against proto/baseline.binpb
}

# Advisories need a database that is fetched from elsewhere; whoever releases runs them by hand.
check_dependencies() {
    cargo deny --locked check bans licenses sources
    echo "not checked here: advisories (cargo deny check advisories)"
}

check_manifests() {
    local folder version rendered=$TOOLS/rendered
    rm -rf "$rendered"
    mkdir -p "$rendered"
    for folder in deploy/kubernetes/base deploy/kubernetes/overlays/*/; do
        kubectl kustomize "$folder" >"$rendered/$(basename "$folder").yaml"
    done
    # Oldest and newest API that we promise to run on (deploy/README.md); unknown fields are errors.
    for version in 1.30 1.37; do
        kubernetes-validate --strict --kubernetes-version "$version" "$rendered"/*.yaml
    done
    python3 .ci/lib/manifests.py "$rendered"/*.yaml
}

check_clippy() {
    cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
}

check_docs() {
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
}
