/** What the OSD needs of a logger; fastify's and pino's are such. */
export interface OsdLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
  fatal(details: object, message: string): void;
}
