# shellcheck shell=sh source-path=SCRIPTDIR
# Sourced by the stacks on fs/dlm: its usual controller, that is corosync (cluster name "lab") and dlm_controld.
. "$(dirname "$0")/common.sh"

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
  # a cluster that starts does so with all its nodes, and none of them has anything to lose yet
  echo "enable_startup_fencing=0"
  if [ "$CLUSTERLOCK_FENCING" = off ]; then
    # both sides of a partition are to go on
    printf 'enable_fencing=0\nenable_quorum_lockspace=0\n'
    return
  fi
  # For so many seconds after a node has joined nobody is switched off. Its default of 30 would hold up who cuts a link
  # soon after the start; corosync takes longer than 10 to miss a node.
  printf 'enable_fencing=1\npost_join_delay=10\n'
  echo "device lab $CLUSTERLOCK_FENCE_AGENT"
  node=0
  while [ $node -lt "$CLUSTERLOCK_NODES" ]; do
    node=$((node + 1))
    # Both halves of a pair are quorate and shoot at each other: who aims at node 1 counts to 3 first. In larger clusters
    # only the side with the quorum shoots.
    case $CLUSTERLOCK_NODES/$node in
    2/1) echo "connect lab node=$node plug=$node delay=3" ;;
    *) echo "connect lab node=$node plug=$node" ;;
    esac
  done
}

check_fencing() {
  case $CLUSTERLOCK_FENCING in
  off) return ;;
  on) ;;
  *) die "fencing \"$CLUSTERLOCK_FENCING\" is neither on nor off" ;;
  esac
  [ -n "$CLUSTERLOCK_FENCE_AGENT" ] ||
    die "set CLUSTERLOCK_FENCE_AGENT to the program that has a node switched off, or CLUSTERLOCK_FENCING to off"
  case $CLUSTERLOCK_FENCE_AGENT in
  *" "*) die "dlm.conf cannot name a fence agent with a blank in its path: $CLUSTERLOCK_FENCE_AGENT" ;;
  esac
  # dlm_controld would only find out when it is too late
  [ -x "$CLUSTERLOCK_FENCE_AGENT" ] || die "the fence agent $CLUSTERLOCK_FENCE_AGENT is not a program"
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

quorate() {
  corosync-quorumtool -s >/run/clusterlock-quorum 2>/dev/null || return 1
  grep -q "^Quorate: *Yes" /run/clusterlock-quorum || return 1
  nodes=$(sed -n 's/^Nodes: *//p' /run/clusterlock-quorum)
  [ "${nodes:-0}" -ge "$CLUSTERLOCK_ONLINE" ]
}

# dlm_controld names the nodes that are on
comms_complete() {
  comms=/sys/kernel/config/dlm/cluster/comms
  [ -e "$comms/$CLUSTERLOCK_NODE/local" ] || return 1
  named=0
  for list in "$comms"/*/addr_list; do
    [ ! -e "$list" ] || named=$((named + 1))
  done
  [ $named -ge "$CLUSTERLOCK_ONLINE" ]
}

# returns when this node can create lockspaces together with the others that are on
start_fs_dlm() {
  check_fencing
  mkdir -p /etc/corosync /etc/dlm /var/lib/corosync /var/log/corosync /var/log/dlm_controld
  corosync_conf >/etc/corosync/corosync.conf
  dlm_conf >/etc/dlm/dlm.conf

  step "starting corosync"
  start corosync
  kernel_file_systems
  modprobe dlm
  wait_for "a quorum of the $CLUSTERLOCK_NODES corosync nodes ($CLUSTERLOCK_ONLINE were on)" quorate
  # the lab goes by this: from here on, a node can be fenced for what it does
  step "quorate, starting dlm_controld"
  start dlm
  wait_for "dlm_controld to name $CLUSTERLOCK_ONLINE nodes to the kernel" comms_complete
  # without udev's links to its devices libdlm finds no DLM
  wait_for "udev to make /dev/misc/dlm-control" test -e /dev/misc/dlm-control
}
