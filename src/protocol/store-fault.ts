/** What keeps a store from taking writes; what it has can still be read. */
export interface StoreFault {
  /**
   * - `no-space`: the disk is full. It goes by itself when there is room again.
   * - `disk-failed`: a write or an fsync failed, or the file system is read-only. Nobody knows what a failed fsync left
   *   behind, so the store takes no more writes until its OSD is started again.
   */
  readonly kind: 'no-space' | 'disk-failed';
  /** For people. */
  readonly detail: string;
}
