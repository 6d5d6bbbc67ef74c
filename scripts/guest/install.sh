#!/bin/sh
# Installs on a Debian machine with systemd what a cluster node needs, for any stack. Nodes of the QEMU lab see these
# packages without being installed.
set -eu

die() {
  echo "install.sh: $*" >&2
  exit 1
}

[ -d /run/systemd/system ] || die "this machine does not run systemd"
command -v apt-get >/dev/null || die "this machine is not Debian's"

missing=
for package in corosync dlm-controld ocfs2-tools dmsetup nftables iproute2 iputils-ping procps; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q ' installed$' || missing="$missing $package"
done
if [ -n "$missing" ]; then
  echo "step: installing$missing"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q
  # shellcheck disable=SC2086 # one word per package
  apt-get install -yq --no-install-recommends $missing
fi

# the stack's own script starts them, when there is a configuration
for service in corosync dlm o2cb ocfs2; do
  systemctl disable --now "$service" 2>/dev/null || true
done

modinfo dlm >/dev/null 2>&1 ||
  die "kernel $(uname -r) has no dlm, as those for clouds: install linux-image-amd64 (or -arm64), reboot and try again"
