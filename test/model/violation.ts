/** What a checker finds. The first five are the ends that FAILURES.md names; the others are the invariants themselves. */
export type ViolationCode =
  | 'lost'
  | 'torn'
  | 'diverged'
  | 'resurrected'
  | 'read-went-back'
  | 'refused-happened'
  | 'rows-left'
  | 'unjustified-wait'
  /** An old state of the authority was acted on past a mirror that knew better (F31). */
  | 'misled'
  | 'stuck'
  | 'I1'
  | 'I2'
  | 'I3'
  | 'I4'
  | 'I5'
  | 'I6'
  | 'I7';

export interface Violation {
  readonly code: ViolationCode;
  readonly detail: string;
}
