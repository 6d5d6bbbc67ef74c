export const CLOGD_HELP: string = `usage: clusterlock clogd [OPTION...]
       clusterlock clogd status [--json] [--directory DIR]
       clusterlock clogd stop [--directory DIR]

Serves the logs of this machine's device-mapper mirrors whose tables say "userspace ... clustered-core" or
"clustered-disk". It stays in the foreground; run it as a service (examples/clogd/clogd.service). While it is
not there, who writes to such a mirror waits; when it is there again, everything goes on.

  --directory DIR    where a daemon after this one finds what it has to know; in a file system that a reboot
                     empties (default /run/clusterlock/clogd)
  --pidfile FILE     a pidfile that it holds locked, as LVM looks for at /run/cmirrord.pid
  --lock-memory      its program and libraries stay in memory (mlock); keep V8's heap there by
                     MemorySwapMax=0, for V8 cannot have it locked
  --io-flusher       its memory is got without writing anything back, for that could be to a mirror that
                     waits for it (PR_SET_IO_FLUSHER, Linux 5.6)
  --oom-score-adj N  -1000 to 1000; -1000: never killed for want of memory
  --protect          --lock-memory --io-flusher --oom-score-adj -1000
  --clear-delay SEC  regions that are no longer written to are called clean on the log device after so many
                     seconds (default 5)
  --verbose          also says when the kernel had to ask again

status   the logs, how far they are in sync, and how long requests took; 69 when no daemon answers
stop     ends the daemon as SIGTERM does, and returns when it has ended

SIGTERM and SIGINT end it in good order; a second one at once. The exit status is 0 then; 64 for a wrong
command line; 69 when another daemon runs, or this machine is not in a state for it; 71 when the system did
not do its part; 77 without the privilege. docs/clogd.md has the rest.
`;
