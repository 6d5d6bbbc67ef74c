#!/bin/sh
# O2CB, the kernel's own cluster stack (cluster name "lab"), with ocfs2_dlmfs at /dlm. Ends when this node sees all the
# others heartbeat and is connected to them, so that it can join domains. Written straight to configfs: fewer processes
# than ocfs2-tools' way, and its ocfs2_hb_ctl wants a file system on the heartbeat's device, which one node would have
# to make before the others may start.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

# A node that has not written its heartbeat for (7 - 1) * 2 s resets itself; after 7 * 2 s the others take it for dead.
# All nodes have to agree on it.
dead_threshold=7
cluster=/sys/kernel/config/cluster/lab
# region names are UUIDs, for they usually are file systems'
region=$cluster/heartbeat/C1057E410C0000000000000000000001

# for ocfs2-tools; the kernel does not read it
cluster_conf() {
  node=0
  for address in $CLUSTERLOCK_ADDRESSES; do
    printf 'node:\n\tnumber = %d\n\tname = node%d\n\tip_address = %s\n' $node $((node + 1)) "$address"
    printf '\tip_port = 7777\n\tcluster = lab\n\n'
    node=$((node + 1))
  done
  printf 'cluster:\n\tnode_count = %d\n\theartbeat_mode = local\n\tname = lab\n' "$CLUSTERLOCK_NODES"
}

register_nodes() {
  node=0
  for address in $CLUSTERLOCK_ADDRESSES; do
    entry=$cluster/node/node$((node + 1))
    if [ ! -d "$entry" ]; then
      mkdir "$entry"
      # the number last: it takes the others for granted
      echo 7777 >"$entry/ipv4_port"
      echo "$address" >"$entry/ipv4_address"
      echo "$node" >"$entry/num"
    fi
    node=$((node + 1))
  done
  echo 1 >"$cluster/node/node$CLUSTERLOCK_NODE/local"
}

heartbeat_device() {
  if [ -n "$CLUSTERLOCK_HEARTBEAT" ]; then
    device=$CLUSTERLOCK_HEARTBEAT
    wait_for "the heartbeat's device $device" test -b "$device"
    ! found=$(blkid -p -s TYPE -s PTTYPE -o value "$device") ||
      die "$device holds a $found: the heartbeat needs a device of its own (wipefs -a frees one)"
    # a block that no node uses and one for each
    [ "$(blockdev --getsize64 "$device")" -ge $(($(blockdev --getss "$device") * (CLUSTERLOCK_NODES + 1))) ] ||
      die "$device is too small for the heartbeats of $CLUSTERLOCK_NODES nodes"
  elif [ "$CLUSTERLOCK_NODES" = 1 ]; then
    modprobe loop
    truncate -s 1M /run/clusterlock-heartbeat
    device=$(losetup --find --show /run/clusterlock-heartbeat)
  else
    die "set CLUSTERLOCK_HEARTBEAT to a block device that all $CLUSTERLOCK_NODES nodes share"
  fi
}

# Returns when the region is steady: this node has written its blocks, and whoever else does has been seen. That takes
# four or five beats of 2 s.
start_region() {
  # a descriptor of the writing process, see start_heartbeat
  echo 7 >"$region/dev" 2>/dev/null
}

start_heartbeat() {
  mkdir -p "$region"
  [ "$(cat "$region/dev")" = "" ] || return 0
  heartbeat_device
  blockdev --getss "$device" >"$region/block_bytes"
  # a start of 0 counts as none; each node has the block of its number
  echo 1 >"$region/start_block"
  echo "$CLUSTERLOCK_NODES" >"$region/blocks"
  exec 7<>"$device"
  # the kernel gives up after nine beats when nodes come one by one in most of them; a bad device fails at once
  start_region || start_region || start_region ||
    die "the kernel gets no steady heartbeat on $device; its log (dmesg) says why"
  exec 7<&-
}

# count_at_least MINIMUM FILE: the file names so many nodes
count_at_least() {
  [ "$(wc -w <"$2")" -ge "$1" ]
}

kernel_file_systems
modprobe -a ocfs2_stack_o2cb ocfs2_dlmfs
mkdir -p /etc/ocfs2
cluster_conf >/etc/ocfs2/cluster.conf
mkdir -p "$cluster"
register_nodes
# refused with a region in place, which then has it already
echo $dead_threshold >"$cluster/heartbeat/dead_threshold"
step "starting the heartbeat"
start_heartbeat
step "heartbeat is steady"
wait_for "the heartbeats of $CLUSTERLOCK_ONLINE nodes" \
  count_at_least "$CLUSTERLOCK_ONLINE" /sys/kernel/debug/o2hb/livenodes
wait_for "the connections to $((CLUSTERLOCK_ONLINE - 1)) nodes" \
  count_at_least $((CLUSTERLOCK_ONLINE - 1)) /sys/kernel/debug/o2net/connected_nodes
dlmfs_on o2cb
