#!/bin/sh
# fs/dlm with its usual controller: corosync (cluster name "lab") and dlm_controld. Ends when this node can create
# lockspaces together with all the others.
. "$(dirname "$0")/common.sh"

case $CLUSTERLOCK_FENCING in
off) enable_fencing=0 ;;
*) die "fencing \"$CLUSTERLOCK_FENCING\" is not known" ;;
esac

corosync_conf() {
  cat <<END
totem {
  version: 2
  cluster_name: lab
  transport: udpu
  token: 5000
}
quorum {
  provider: corosync_votequorum
END
  # it makes one of two votes a quorum, and is an error for any other number of nodes
  [ "$CLUSTERLOCK_NODES" != 2 ] || echo "  two_node: 1"
  # two_node brings wait_for_all with it: a node that starts alone must not take part before it has seen its peer
  cat <<END
}
logging {
  to_syslog: no
  to_logfile: yes
  logfile: /var/log/corosync/corosync.log
}
nodelist {
END
  node=0
  for address in $CLUSTERLOCK_ADDRESSES; do
    node=$((node + 1))
    cat <<END
  node {
    ring0_addr: $address
    nodeid: $node
    name: node$node
  }
END
  done
  echo "}"
}

dlm_conf() {
  cat <<END
enable_fencing=$enable_fencing
enable_startup_fencing=0
enable_quorum_lockspace=0
END
}

start() {
  if has_systemd; then
    systemctl restart "$1"
  elif [ "$1" = dlm ]; then
    dlm_controld
  else
    "$1"
  fi
}

all_quorate() {
  corosync-quorumtool -s >/run/clusterlock-quorum 2>/dev/null || return 1
  grep -q "^Quorate: *Yes" /run/clusterlock-quorum && grep -q "^Nodes: *$CLUSTERLOCK_NODES$" /run/clusterlock-quorum
}

comms=/sys/kernel/config/dlm/cluster/comms

comms_complete() {
  [ -e "$comms/$CLUSTERLOCK_NODE/local" ] || return 1
  node=0
  while [ $node -lt "$CLUSTERLOCK_NODES" ]; do
    node=$((node + 1))
    [ -e "$comms/$node/addr_list" ] || return 1
  done
}

mkdir -p /etc/corosync /etc/dlm /var/lib/corosync /var/log/corosync /var/log/dlm_controld
corosync_conf >/etc/corosync/corosync.conf
dlm_conf >/etc/dlm/dlm.conf

step "starting corosync"
start corosync
kernel_file_systems
modprobe dlm
wait_for "$CLUSTERLOCK_NODES quorate corosync nodes" all_quorate
step "quorate, starting dlm_controld"
start dlm
wait_for "dlm_controld to name all nodes to the kernel" comms_complete
# without udev's links to its devices libdlm finds no DLM
wait_for "udev to make /dev/misc/dlm-control" test -e /dev/misc/dlm-control
