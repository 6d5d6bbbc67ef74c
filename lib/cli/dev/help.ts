export const DEV_HELP: string = `usage: clusterlock dev up
       clusterlock dev down
       clusterlock dev status [--json]

A DLM controller for one machine, for development and tests only: it fences nobody, and knows no other nodes.
Locks taken with it exclude the programs of this machine, and nobody else. For a cluster use corosync and
dlm_controld; for a cluster to test against, clusterlock lab.

up       loads the module dlm, configures it (cluster name "clusterlock-dev", node 1, 127.0.0.1) and starts a
         process in the background that lets lockspaces be created and left. Returns when that works. After
         its process was killed it takes over what that left. Refuses beside dlm_controld, and where the DLM
         is configured already.
down     ends it and takes back what up did. Refuses while there are lockspaces, and says who has them open.
status   up: its process and the lockspaces; down; or dead: its process was killed, locks go on, and who
         creates or leaves a lockspace waits for the next up. Exits with 0 when it is up, else with 69.

up and down need root. The exit status is 0 when it is so, also when it was so before; 64 for a wrong command
line; 69 when this machine is not in a state for it; 71 when the system did not do its part; 77 without the
privilege. The process and its log: /run/clusterlock/dev.json, dev.log.
`;
