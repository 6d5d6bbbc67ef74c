#!/bin/sh
# No cluster: kernel interfaces are mounted, modules can be loaded, udev makes their devices.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/common.sh"

kernel_file_systems
udevadm settle --timeout="$CLUSTERLOCK_PATIENCE" || die "udev did not settle"
