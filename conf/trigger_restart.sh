#!/bin/sh
# Takes the place of the original sidecar's trigger_restart.sh, which Fluentd's
# exec output calls with the path of a file of matching records (or with the
# records on standard input). Hands them, with their times, to
# `healer scan --send`, which matches them again and tells the executor.
#
# Exit code 0: the executor has answered every match, a refusal included.
# Exit code 1: it could not be told; Fluentd keeps the chunk and calls again.
#
# TARGET_CONTAINER: whose lines these are, where they do not say so themselves
# (by Fluentd's path_key). HEALER_RULES: packs and rule files, default gpu.
# HEALER names the program where it is not on the PATH.
set -u

target=${TARGET_CONTAINER:-${TARGET_CONTAINER_ID:-auto}}
"${HEALER:-healer}" scan --send --target "$target" --rules "${HEALER_RULES:-gpu}" -- "${1:--}"
case $? in
    0 | 3) exit 0 ;;
    *) exit 1 ;;
esac
