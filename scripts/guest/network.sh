#!/bin/sh
# Gives this node its cluster address and every node a name.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

ip link set lo up

if [ -n "$CLUSTERLOCK_INTERFACE" ]; then
  wait_for "network interface $CLUSTERLOCK_INTERFACE" test -e "/sys/class/net/$CLUSTERLOCK_INTERFACE"
  # shellcheck disable=SC2086 # one word per address
  set -- $CLUSTERLOCK_ADDRESSES
  shift $((CLUSTERLOCK_NODE - 1))
  ip address replace "$1/24" dev "$CLUSTERLOCK_INTERFACE"
  ip link set "$CLUSTERLOCK_INTERFACE" up
fi

# whatever an earlier run wrote is replaced; a name of our own must not mean 127.0.1.1
hosts=$(grep -v -e '^127\.0\.1\.1' -e '# clusterlock$' /etc/hosts 2>/dev/null || true)
{
  echo "$hosts"
  case $hosts in *127.0.0.1*) ;; *) echo "127.0.0.1 localhost" ;; esac
  node=0
  for address in $CLUSTERLOCK_ADDRESSES; do
    node=$((node + 1))
    echo "$address node$node # clusterlock"
  done
} >/etc/hosts
