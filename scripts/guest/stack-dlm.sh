#!/bin/sh
# fs/dlm. Ends when this node can create lockspaces together with the others.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fs-dlm.sh"

start_fs_dlm
