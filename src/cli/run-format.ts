/** `tally format`: makes one new, empty store. The only command that does, besides the first start of `tally up`. */
import { join } from 'node:path';
import { formatStore } from '../store/format-store.js';
import { StoreError } from '../store/object-store.js';
import { readSuperblock } from '../store/superblock.js';
import { type Configuration, setOfMember } from './configuration.js';
import { readMarker } from './data-folder.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { OperationalError } from './operational-error.js';
import { fileError } from './system-error.js';

export interface FormatRequest {
  readonly isJson: boolean;
  /** An existing store is fine, and left alone. */
  readonly onlyIfMissing: boolean;
}

interface FormatResult {
  readonly store: string;
  readonly storeId: string;
  readonly setId: string;
  readonly wasThere: boolean;
}

export async function runFormat(configuration: Configuration, request: FormatRequest): Promise<ExitCode> {
  const { osd, dataFolder, mirrorSet } = configuration;
  const store = osd.store ?? (osd.name === null ? null : join(dataFolder, osd.name));
  if (store === null) {
    throw new OperationalError(
      'store-missing',
      EXIT.usage,
      'Say which store: --name osd-0, or --store <folder>.',
    );
  }
  const furtherSet = osd.name === null ? null : setOfMember(configuration, osd.name);
  const setId = furtherSet?.id ?? mirrorSet.id ?? (await readMarker(dataFolder))?.setId;
  if (setId === undefined) {
    throw new OperationalError(
      'set-id-missing',
      EXIT.usage,
      'Say which mirror set the store is for: --set <name>.',
    );
  }
  const result = await formatOrFind(store, setId, request.onlyIfMissing);
  const verb = result.wasThere ? 'There is a store' : 'Formatted a store';
  const text = `${verb} in ${store} for the mirror set ${result.setId}: ${result.storeId}`;
  process.stdout.write(`${request.isJson ? JSON.stringify(result, null, 2) : text}\n`);
  return EXIT.ok;
}

async function formatOrFind(store: string, setId: string, onlyIfMissing: boolean): Promise<FormatResult> {
  try {
    const found = onlyIfMissing ? await readSuperblock(store) : null;
    if (found !== null) return { store, storeId: found.storeId, setId: found.setId, wasThere: true };
    return { store, storeId: await formatStore(store, { setId }), setId, wasThere: false };
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== 'in-use')
      throw fileError(error, 'The folder', store);
    throw new OperationalError(
      'not-empty',
      EXIT.folderUnusable,
      `${error.message}. A store is made in an empty folder only; nothing was changed.`,
      { cause: error },
    );
  }
}
