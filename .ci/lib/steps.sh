# shellcheck shell=bash
# Running steps one after the other, and saying at the end how each went.

WANTED=("$@")
RESULTS=()
FAILED=0

wanted() {
    local name
    [ ${#WANTED[@]} -eq 0 ] && return 0
    for name in tools "${WANTED[@]}"; do
        [ "$name" = "$1" ] && return 0
    done
    return 1
}

# step NAME WHAT COMMAND…: runs COMMAND in a subshell that stops at its first error.
step() {
    local name=$1 what=$2 status began took
    shift 2
    wanted "$name" || return 0
    printf '\n=== %s: %s\n' "$name" "$what"
    began=$SECONDS
    (
        set -euo pipefail
        "$@"
    ) </dev/null
    status=$?
    took=$((SECONDS - began))
    if [ $status -eq 0 ]; then
        RESULTS+=("ok|$name|$what|$took")
        printf -- '--- %s: ok, %d s\n' "$name" "$took"
    else
        RESULTS+=("FAILED|$name|$what|$took")
        FAILED=$((FAILED + 1))
        printf -- '--- %s: FAILED with %d, %d s\n' "$name" "$status" "$took"
        if [ "$name" = tools ]; then
            summary
        fi
    fi
}

# Prints the table and ends the run.
summary() {
    local row result name what took
    printf '\n=== summary\n'
    for row in "${RESULTS[@]}"; do
        IFS='|' read -r result name what took <<<"$row"
        printf '%-7s %-13s %-34s %5d s\n' "$result" "$name" "$what" "$took"
    done
    printf '%-7s %-13s %-34s %5d s\n' "" total "" "$SECONDS"
    if [ "$FAILED" -gt 0 ]; then
        printf '%d of %d steps failed\n' "$FAILED" "${#RESULTS[@]}"
        exit 1
    fi
    exit 0
}
