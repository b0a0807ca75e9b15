/**
 * The two parts of undici that the way to an OSD is made of, by the files that they are in. Its index brings fetch, web sockets and caches
 * along, which a service never uses: 8 MiB of resident memory (bench/README.md).
 */
declare module 'undici/lib/dispatcher/pool.js' {
  import { Pool } from 'undici';
  export default Pool;
}

declare module 'undici/lib/core/connect.js' {
  import { buildConnector } from 'undici';
  export default buildConnector;
}
