/** Where the files of this installation are. This one lies two folders below the package, and so do all that the build makes of it. */
import { fileURLToPath } from 'node:url';

const packageRoot = new URL('../../', import.meta.url);

/** `path`: from the package's folder, with slashes. */
export function programFile(path: string): string {
  return fileURLToPath(new URL(path, packageRoot));
}
