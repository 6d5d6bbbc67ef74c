#!/bin/sh
# Waits until this node can work with all the others on $CLUSTERLOCK_STACK, which somebody else sets up. It changes
# nothing.
. "$(dirname "$0")/common.sh"
: "${CLUSTERLOCK_STACK:?}"

# udev makes it as soon as fs/dlm is there
has_dlm_control() {
  [ -e /dev/misc/dlm-control ] || [ -e /dev/dlm-control ]
}

comms_of_all_nodes() {
  set -- /sys/kernel/config/dlm/cluster/comms/*/addr_list
  [ $# -ge "$CLUSTERLOCK_NODES" ] && [ -e "$1" ]
}

dlm_ready() {
  wait_for "fs/dlm: is dlm_controld running?" has_dlm_control
  wait_for "dlm_controld to name $CLUSTERLOCK_NODES nodes to the kernel" comms_of_all_nodes
}

o2cb_heartbeats() {
  set -- /sys/kernel/config/cluster/*/heartbeat/*/pid
  [ -e "$1" ]
}

dlmfs_mounted() {
  grep -q ' ocfs2_dlmfs ' /proc/mounts
}

case $CLUSTERLOCK_STACK in
none) ;;
dlm) dlm_ready ;;
dlmfs-dlm)
  dlm_ready
  wait_for "a mount of ocfs2_dlmfs" dlmfs_mounted
  ;;
o2cb)
  wait_for "a heartbeat of o2cb" o2cb_heartbeats
  wait_for "a mount of ocfs2_dlmfs" dlmfs_mounted
  ;;
*) die "stack \"$CLUSTERLOCK_STACK\" is not known" ;;
esac
