/** What the exit code of every command means; the README repeats this table. The numbers from 64 on are those of sysexits.h. */
export const EXIT = {
  /** Done; `status` and `reconcile`: every mirror is in sync. */
  ok: 0,
  /** `doctor`: something failed. `status` and `reconcile`: the answer is in, and some mirror is not in sync. `up`: a service could not be kept going. */
  notInSync: 1,
  /** The command line makes no sense, or asks for what is not there, or not possible now. */
  usage: 64,
  /** Somebody that is needed does not answer, or a port is taken. */
  unavailable: 69,
  /** A bug of Tally: a broken invariant. The log has the details. */
  bug: 70,
  /** The folder is in use by another process, is not empty, or belongs to something else. */
  folderUnusable: 73,
  /** A file or a disk failed, or is damaged. */
  storage: 74,
  /** Another gateway has taken over this mirror set. Do not start this one again by itself. */
  superseded: 75,
  /** A file or a port may not be used by this user. */
  permission: 77,
  /** The configuration is wrong. */
  configuration: 78,
  /** Ended at once by a second Ctrl-C. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
