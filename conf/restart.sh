#!/bin/sh
# Takes the place of the original sidecar's restart.sh: same name, same
# environment (TARGET_CONTAINER or TARGET_CONTAINER_ID, COOLDOWN_SEC,
# WINDOW_SEC, MAX_PER_WINDOW), same lines. The restart itself, its limits and
# its records are the executor's (`healer restart`).
#
# Exit code 0: restarted, or refused by a gate. Fluentd would call again after
# any other code, and a later call would restart on an old line.
# Exit code 1: nothing could be decided.
#
# HEALER names the program where it is not on the PATH.
set -u

target=${1:-${TARGET_CONTAINER:-${TARGET_CONTAINER_ID:-}}}
if [ -z "$target" ]; then
    echo "[restart.sh] No target: set TARGET_CONTAINER to a container's name or id." >&2
    exit 1
fi

# The lines of the original: those of an act bear the time, refusals do not.
prefix() {
    while IFS= read -r line; do
        line=${line#"[healer] "*"Z "}
        case $line in
            Restart*) printf '[restart.sh] %s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$line" ;;
            *) printf '[restart.sh] %s\n' "$line" ;;
        esac
    done
}

# sh has no pipefail: the code comes out by descriptor 3, the lines by 4.
{
    code=$({ { "${HEALER:-healer}" restart -- "$target" 2>&1; echo $? >&3; } | prefix >&4; } 3>&1)
} 4>&1

case $code in
    0 | 3) exit 0 ;;
    *) exit 1 ;;
esac
