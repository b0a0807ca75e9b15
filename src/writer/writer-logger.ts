/** What a writer needs of a logger: the gateway's and the OSD's both fit. Fields first, then a sentence. */
export interface WriterLogger {
  warn(fields: object, message: string): void;
}
