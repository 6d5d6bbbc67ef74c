import { MAX_NODES } from "../../lab";

export const LAB_HELP: string = `usage: clusterlock lab run [OPTION...] [--] CMD [ARG...]
       clusterlock lab up [OPTION...]
       clusterlock lab exec [--on NODES] [--timeout SEC] [--raw] [--] CMD [ARG...]
       clusterlock lab status [--json]
       clusterlock lab kill NODE... [--lose none|some|all] [--seed N]
       clusterlock lab start NODE... [--timeout SEC]
       clusterlock lab freeze|thaw NODE...
       clusterlock lab partition A/B     nodes in two or more groups, as in 1/2 or 1,2/3
       clusterlock lab heal              ends partition, loss and delay
       clusterlock lab loss LINK PERCENT
       clusterlock lab delay LINK MS     LINK: two nodes as in 1-2; 1 for all of node 1's links; all
       clusterlock lab console NODE [--follow]
       clusterlock lab down [--all]
       clusterlock lab clean             empties the cache of images

run boots a cluster of virtual machines that see this machine's files at the same paths, runs CMD on its nodes
as root in the current directory, and throws the cluster away. up keeps the cluster; the other verbs act on
it, from here and from inside its nodes. Output lines are prefixed [n1], [n2], ...

  --nodes N        number of nodes, 1..${MAX_NODES} (default 2)
  --stack S        dlm (default): corosync and dlm_controld, cluster name "lab"
                   o2cb: OCFS2's own cluster stack, ocfs2_dlmfs at /dlm
                   dlmfs-dlm: ocfs2_dlmfs at /dlm on top of fs/dlm
                   none: no cluster; the kernel's modules can be loaded
  --fencing on|off on (default): a node that falls silent is powered off before its locks go to others.
                   off: it is not, and locks are granted twice; to see a checker notice
  --disk SIZE      a raw disk that all nodes share, as in 64M or 1G; repeatable: /dev/vda, /dev/vdb, ...
  --record FILE    a file to be made that holds all writes to the disks and all flushes, for readRecording
  --kernel DIR     an unpacked kernel package; scripts/fetch-kernel VERSION brings one
  --cpus N         processors of each node (default 1)
  --memory MIB     memory of each node (default 1024)
  --log DIR        directory for CLUSTERLOCK_OUT and the nodes' logs (default: a fresh one)
  --name NAME      up: the lab's name; other verbs: the lab that is meant, when several are up
  --on all|1,2     run, exec: nodes that CMD runs on (default all)
  --timeout SEC    run, exec: give CMD so much time from its start (default no limit)
  --raw            exec on one node: standard input and output as they are, without prefixes
  --lose WHAT      kill: what becomes of disk writes not flushed: none are lost (default), some (as --seed
                   decides) or all

CMD finds CLUSTERLOCK_NODE, CLUSTERLOCK_NODES, CLUSTERLOCK_STACK and CLUSTERLOCK_OUT, a directory of this
machine that every node can write and that remains. The exit status is 0 if CMD's was 0 on all nodes, else
the first that was not; 124 on time-out; 125 when the lab itself failed; 137 for a node that died or was
fenced under CMD, or was switched off by anybody but CMD.

CLUSTERLOCK_LAB_ACCEL=kvm|tcg in the environment decides how nodes are run, without a probe for KVM.
`;
