/**
 * The program is built into dist/cli: one file for each kind of process, and chunks for what several of them share.
 *
 * Packages are built in, but for those below. A service so loads what it uses of them and nothing else: 18 MiB less are resident in an
 * OSD and 30 in a gateway (bench/README.md). Nothing is made shorter: a stack trace says what stands in the source.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vite';

/**
 * They find their own files: compiled code, WebAssembly, the program of a thread. The last is loaded when somebody asks for it, by when
 * an upgrade may have replaced the chunks of this build below a running gateway.
 */
const LOADED_FROM_THEIR_FOLDERS = ['classic-level', '@node-rs/crc32', 'undici', 'pino', 'hash-wasm'];

const outDir = join(import.meta.dirname, 'dist/cli');

export default defineConfig({
  root: import.meta.dirname,
  publicDir: false,
  ssr: { noExternal: true, external: LOADED_FROM_THEIR_FOLDERS },
  build: {
    ssr: true,
    outDir,
    emptyOutDir: true,
    target: 'node20.19',
    minify: false,
    rolldownOptions: {
      input: { main: join(import.meta.dirname, 'src/cli/main.ts') },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: '[name]-[hash].js',
        comments: { legal: true, annotation: false, jsdoc: false },
      },
      experimental: { attachDebugInfo: 'simple' },
    },
  },
  plugins: [
    {
      name: 'executable',
      closeBundle: () => {
        chmodSync(join(outDir, 'main.js'), 0o755);
      },
    },
  ],
});
