# shellcheck shell=bash
# Is .sqlx/, against which everybody else compiles, what a fresh database says?

# Starts a throw-away cluster on a socket and stops it when the step ends. Sets CLUSTER.
start_cluster() {
    local bin user=()
    bin=$(postgres_bin)
    CLUSTER=$(mktemp -d)
    if [ "$(id -u)" = 0 ]; then
        # Postgres refuses to run as root.
        chown postgres "$CLUSTER"
        user=(runuser -u postgres --)
    fi
    # shellcheck disable=SC2064 # the values of now
    trap "cd /; ${user[*]} '$bin/pg_ctl' -D '$CLUSTER/data' -m immediate -s stop; rm -rf '$CLUSTER'" EXIT
    (
        cd "$CLUSTER" || exit
        "${user[@]}" "$bin/initdb" -D data -U postgres -A trust -E UTF8 --locale C.UTF-8 --no-sync >/dev/null
        "${user[@]}" "$bin/pg_ctl" -D data -s -w -l log \
            -o "-c listen_addresses='' -c unix_socket_directories='$CLUSTER' -c fsync=off" start
    )
}

check_sql() {
    local config folder name variable stale=()
    start_cluster
    for config in shared/*/sqlx.toml services/*/sqlx.toml; do
        folder=$(dirname "$config")
        name=$(basename "$folder")
        variable=$(sed -n 's/^database-url-var *= *"\(.*\)"/\1/p' "$config")
        echo "$folder"
        prepare_database "$name"
        prepared "$folder" "$variable=$(database_url "$name")" || stale+=("$folder")
    done
    if [ ${#stale[@]} -gt 0 ]; then
        echo "not what a fresh database says, or not compiled: ${stale[*]}"
        echo "mend it with \`cargo sqlx prepare -- --all-targets\` in each of them"
        return 1
    fi
}

# Whether the data in FOLDER is what the database of NAME=URL says.
prepared() {
    (cd "$1" && env --unset=SQLX_OFFLINE "$2" cargo sqlx prepare --check -- --all-targets --quiet)
}

database_url() {
    echo "postgres://postgres@localhost/kefu_$1?host=$CLUSTER"
}

# A database as a context finds it: roles, a schema first on the search path, the tables of the shared crates, its own.
prepare_database() {
    local name=$1 migrated
    psql -qX -v ON_ERROR_STOP=1 -h "$CLUSTER" -U postgres \
        -c "CREATE ROLE kefu_$name" -c "CREATE ROLE kefu_${name}_owner" -c "CREATE DATABASE kefu_$name" \
        -c "ALTER DATABASE kefu_$name SET search_path = $name"
    psql -qX -v ON_ERROR_STOP=1 -h "$CLUSTER" -U postgres -d "kefu_$name" -c "CREATE SCHEMA $name"
    for migrated in shared/journal shared/policy "services/$name"; do
        if [ -d "$migrated/migrations" ]; then
            (cd "$migrated" && sqlx migrate run --no-dotenv --database-url "$(database_url "$name")" >/dev/null)
        fi
    done
}
