/** What is wrong, in one word for programs. */
export type FindingCode =
  | "module-missing"
  | "module-not-loaded"
  | "plugin-missing"
  | "not-mounted"
  | "inside-mount"
  | "mount-covered"
  | "configfs-not-mounted"
  | "debugfs-not-mounted"
  | "wrong-stack"
  | "o2cb-no-cluster"
  | "o2cb-no-local-node"
  | "o2cb-no-heartbeat"
  | "o2cb-not-connected"
  | "fsdlm-no-controld"
  | "fsdlm-no-local-node"
  | "fsdlm-recover-callbacks"
  | "fsdlm-cluster-name"
  | "fsdlm-name-left-blank"
  | "fsdlm-several-mounts"
  | "other-mount"
  | "no-bast"
  | "no-stackglue"
  | "hung-task-panic";

/** Something that is not as it has to be, or as it had better be. */
export interface Finding {
  code: FindingCode;
  /** For a person. */
  message: string;
  /**
   * The command that mends it, for a shell of root; words in capitals stand for what only the administrator knows.
   * `{ option: true }`: an option of `Domain.open()`. Undefined: no one command does.
   */
  fix: string | undefined;
}

/** What is there and could not be read. */
export interface Unread {
  path: string;
  /** The errno's name: EACCES, as a rule, for who is not root. */
  code: string;
}
