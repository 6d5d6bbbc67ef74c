#!/bin/sh
# ocfs2_dlmfs at /dlm over fs/dlm. Where dlm_controld has a cluster name, which corosync's gives it since version 4, the
# kernel refuses new domains with EBADR: dlmfs asks for no name at all. That is how such a machine is, so it stays.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/fs-dlm.sh"

start_fs_dlm
modprobe -a ocfs2_stack_user ocfs2_dlmfs
dlmfs_on pcmk
