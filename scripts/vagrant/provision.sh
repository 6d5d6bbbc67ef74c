#!/bin/sh
# Makes a cluster node of a Vagrant machine. Its stack comes up in the background, here and after every boot, for it
# waits for the other nodes; wait-ready.sh waits for it. Parameters are those of scripts/guest/common.sh, and:
#   CLUSTERLOCK_STACK        the stack
#   CLUSTERLOCK_SCRIPTS      the directory scripts/guest
#   CLUSTERLOCK_NODE_BINARY  where the Node that was copied to /tmp/clusterlock-node belongs
set -eu

install -D -m 755 /tmp/clusterlock-node "$CLUSTERLOCK_NODE_BINARY"
rm /tmp/clusterlock-node
"$CLUSTERLOCK_NODE_BINARY" --version >/dev/null || {
  echo "provision.sh: the Node of the host does not run here: set CLUSTERLOCK_NODE_BINARY to one from nodejs.org" >&2
  exit 1
}
sh "$CLUSTERLOCK_SCRIPTS/install.sh"

env | sed -n 's/^\(CLUSTERLOCK_[A-Z_]*\)=\(.*\)$/\1="\2"/p' >/etc/clusterlock.env
cat >/etc/systemd/system/clusterlock-stack.service <<END
[Unit]
Description=clusterlock: cluster stack $CLUSTERLOCK_STACK
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
RemainAfterExit=yes
EnvironmentFile=/etc/clusterlock.env
ExecStart=/bin/sh "$CLUSTERLOCK_SCRIPTS/network.sh"
ExecStart=/bin/sh "$CLUSTERLOCK_SCRIPTS/stack-$CLUSTERLOCK_STACK.sh"
TimeoutStartSec=infinity
# a daemon that a script starts itself goes on when the script has ended
KillMode=process

[Install]
WantedBy=multi-user.target
END
systemctl daemon-reload
systemctl enable -q clusterlock-stack
systemctl restart --no-block clusterlock-stack
