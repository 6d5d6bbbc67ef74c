# shellcheck shell=sh
# Sourced by the scripts beside it, which set up a cluster node: a machine of the QEMU lab or of a Vagrantfile, with or
# without systemd. Parameters come from the environment:
#   CLUSTERLOCK_NODE         this node's number, 1..N
#   CLUSTERLOCK_NODES        N
#   CLUSTERLOCK_ADDRESSES    the cluster addresses of nodes 1..N, separated by blanks
#   CLUSTERLOCK_ONLINE       how many nodes are on, this one included; default N. A node that comes back waits for these.
#   CLUSTERLOCK_INTERFACE    network interface to give this node's address to; empty: the network is up already
#   CLUSTERLOCK_FENCING      on (default) | off. Stacks on fs/dlm only: a node of stack o2cb always fences itself.
#   CLUSTERLOCK_FENCE_AGENT  stacks on fs/dlm with fencing: the program that dlm_controld runs to have a node switched off
#   CLUSTERLOCK_HEARTBEAT    stack o2cb: the block device, shared by all nodes, that holds nothing but their heartbeats;
#                            one node alone needs none
#   CLUSTERLOCK_PATIENCE     seconds a single wait may take, default 120
# Lines that start with "step:" tell the user how far it is.

set -eu
: "${CLUSTERLOCK_NODE:?}" "${CLUSTERLOCK_NODES:?}" "${CLUSTERLOCK_ADDRESSES:?}"
: "${CLUSTERLOCK_ONLINE:=$CLUSTERLOCK_NODES}" "${CLUSTERLOCK_INTERFACE:=}" "${CLUSTERLOCK_PATIENCE:=120}"
: "${CLUSTERLOCK_FENCING:=on}" "${CLUSTERLOCK_FENCE_AGENT:=}" "${CLUSTERLOCK_HEARTBEAT:=}"

step() {
  echo "step: $*"
}

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# wait_for WHAT COMMAND [ARG...]: until the command succeeds, or die
wait_for() {
  what=$1
  shift
  deadline=$(($(uptime_seconds) + CLUSTERLOCK_PATIENCE))
  until "$@"; do
    [ "$(uptime_seconds)" -lt "$deadline" ] || die "waited $CLUSTERLOCK_PATIENCE s for $what in vain"
    sleep 0.1
  done
}

# the wall clock may be set while we wait
uptime_seconds() {
  read -r up _ </proc/uptime
  echo "${up%%.*}"
}

has_systemd() {
  [ -d /run/systemd/system ]
}

# mount_at TYPE DIRECTORY, unless it is mounted
mount_at() {
  mountpoint -q "$2" || mount -t "$1" "$1" "$2"
}

kernel_file_systems() {
  modprobe configfs
  mount_at configfs /sys/kernel/config
  mount_at debugfs /sys/kernel/debug
}

# dlmfs_on STACK: ocfs2_dlmfs at /dlm, its locks from this cluster stack
dlmfs_on() {
  echo "$1" >/sys/fs/ocfs2/cluster_stack || die "the kernel refuses the cluster stack $1: is another one in use?"
  mkdir -p /dlm
  mount_at ocfs2_dlmfs /dlm
}
