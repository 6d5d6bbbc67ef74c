#!/bin/sh
# Waits until this node's stack, started by provision.sh or by the boot, is up.
set -eu

deadline=$(($(date +%s) + 600))
while :; do
  case $(systemctl show -P ActiveState clusterlock-stack) in
  active) exit 0 ;;
  failed) break ;;
  esac
  [ "$(date +%s)" -lt "$deadline" ] || break
  sleep 1
done
echo "wait-ready.sh: the stack is not up; the last words of systemctl status clusterlock-stack:" >&2
journalctl --no-pager -u clusterlock-stack -n 10 -o cat >&2
exit 1
