#!/bin/sh
# Runs a command as nobody with at most one right: to let its threads go first (CAP_SYS_NICE), which a gameserver's ticks
# do. Where that right is not to be had (a container has it with `--cap-add SYS_NICE`, a Fly machine has it), without.
set -eu
nobody='setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs'
first='--inh-caps=-all,+sys_nice --ambient-caps=-all,+sys_nice --bounding-set=-all,+sys_nice'
# shellcheck disable=SC2086 # they are lists of options
if $nobody $first true 2>/dev/null; then
    exec $nobody $first "$@"
fi
# shellcheck disable=SC2086
exec $nobody --inh-caps=-all --bounding-set=-all "$@"
