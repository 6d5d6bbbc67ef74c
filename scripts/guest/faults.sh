#!/bin/sh
# Faults of the cluster network, made on a node itself:
#
#   faults.sh INTERFACE ADDRESS
#
# ADDRESS is this node's own on INTERFACE. Each line of standard input holds all the faults from now on, one word for
# each peer with a fault: PEER-ADDRESS,CUT,LOSS,DELAY. CUT is 1 or 0; LOSS is in percent and DELAY in milliseconds, both
# for what goes to the peer. The answer is "ok". Any failure, and the end of the input, undo everything: who asked for
# the faults has lost its way to take them back.
#
# Frames from and to other addresses, and those on other interfaces, are left alone.

set -eu

if [ $# -ne 2 ]; then
  echo "usage: faults.sh INTERFACE ADDRESS" >&2
  exit 64
fi
interface=$1
own=$2
PATH=$PATH:/usr/sbin:/sbin
# the root of our queueing disciplines, by which they are known
handle=c10c

die() {
  echo "faults.sh: $*" >&2
  exit 1
}

has_nft_table() {
  nft list table inet clusterlock >/dev/null 2>&1
}

has_qdisc() {
  tc qdisc show dev "$interface" root 2>/dev/null | grep -q "^qdisc prio $handle: "
}

heal() {
  status=$?
  trap - EXIT
  if has_nft_table; then nft delete table inet clusterlock || status=1; fi
  if has_qdisc; then tc qdisc del dev "$interface" root || status=1; fi
  exit $status
}

family() {
  case $1 in
  *:*) echo ip6 ;;
  *) echo ip ;;
  esac
}

# one transaction: there is no moment without the cuts that stay
cut_rules() {
  echo "table inet clusterlock"
  echo "delete table inet clusterlock"
  echo "table inet clusterlock {"
  for hook in input output; do
    echo "chain $hook {"
    echo "type filter hook $hook priority -300;"
    for fault in "$@"; do
      peer=${fault%%,*}
      case $fault in
      *,1,*,*) ;;
      *) continue ;;
      esac
      if [ $hook = input ]; then
        echo "iifname \"$interface\" $(family "$peer") saddr $peer drop;"
      else
        echo "oifname \"$interface\" $(family "$peer") daddr $peer drop;"
      fi
    done
    echo "}"
  done
  echo "}"
}

# band 1 is for all that has no fault, and each peer with loss or delay has one of the others
shape() {
  if has_qdisc; then tc qdisc del dev "$interface" root; fi
  band=1
  for fault in "$@"; do
    peer=${fault%%,*}
    rest=${fault#*,*,}
    loss=${rest%,*}
    delay=${rest#*,}
    [ "$loss,$delay" != 0,0 ] || continue
    if [ $band = 1 ]; then
      tc qdisc add dev "$interface" root handle $handle: prio bands 16 priomap 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0
    fi
    band=$((band + 1))
    minor=$(printf %x $band)
    # a delayed frame waits in the queue: the usual length would drop most of a busy link's
    tc qdisc add dev "$interface" parent $handle:"$minor" netem limit 100000 loss "$loss%" delay "${delay}ms"
    case $(family "$peer") in
    ip) tc filter add dev "$interface" parent $handle: protocol ip prio 1 flower dst_ip "$peer" classid $handle:"$minor" ;;
    ip6) tc filter add dev "$interface" parent $handle: protocol ipv6 prio 2 flower dst_ip "$peer" classid $handle:"$minor" ;;
    esac
  done
}

for tool in nft tc ip; do
  command -v $tool >/dev/null || die "$tool is missing: install nftables and iproute2"
done
ip -o address show dev "$interface" 2>/dev/null | grep -qF " $own/" || die "interface $interface does not have $own"
if has_nft_table; then die "somebody else's faults are in effect: nft delete table inet clusterlock"; fi
# handle 0: is the kernel's default, which comes back by itself when ours goes
tc qdisc show dev "$interface" root | grep -qE '^qdisc (noqueue|[^ ]+ 0:)' ||
  die "interface $interface has a queueing discipline of its own, which would be lost"

trap heal EXIT
# they end the reading, and so the faults
trap 'exit 1' HUP INT TERM
shaped=
while read -r line; do
  # shellcheck disable=SC2086 # one word per fault
  set -- $line
  cut_rules "$@" | nft -f - || die "nft cannot cut the network"
  links=$(for fault in "$@"; do echo "${fault%%,*},${fault#*,*,}"; done)
  if [ "$links" != "$shaped" ]; then
    shape "$@"
    shaped=$links
  fi
  echo ok
done
