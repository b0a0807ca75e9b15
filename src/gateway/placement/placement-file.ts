/**
 * Where the placement record is kept: one file beside the synchronization authority's state, and as precious, because without it objects
 * that still move would be looked for at their new home only.
 *
 * Format: {"formatVersion":1,"sets":[{"name":"main","generator":1}],"placement":{"sets":["main"],"pins":{}},"former":[...],
 * "checksum":"..."}
 */
import { readFile } from 'node:fs/promises';
import { type Placement, type SetName, toSetName } from '../../protocol/placement.js';
import type { PlacementRecord } from '../../protocol/placement-record.js';
import { type GeneratorId, toGeneratorId } from '../../protocol/tag.js';
import { decodeChecksummed, encodeChecksummed, replaceDurably } from '../durable-file.js';

const FORMAT_VERSION = 1;

export interface PlacementStorage {
  /** Null: there never was one. Throws PlacementFileError when there is one that can't be read. */
  load(): Promise<PlacementRecord | null>;
  save(record: PlacementRecord): Promise<void>;
}

export class PlacementFileError extends Error {
  readonly code = 'placement-unreadable';

  constructor(path: string, options: ErrorOptions) {
    const { cause } = options;
    super(
      `the placement of objects in ${path} can't be read: ${cause instanceof Error ? cause.message : 'damaged'}`,
      options,
    );
    this.name = 'PlacementFileError';
  }
}

export class PlacementFile implements PlacementStorage {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(): Promise<PlacementRecord | null> {
    try {
      return decodeRecord(await readFile(this.#path, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new PlacementFileError(this.#path, { cause: error });
    }
  }

  async save(record: PlacementRecord): Promise<void> {
    await replaceDurably(this.#path, encodeRecord(record));
  }
}

function placementText({ sets, pins }: Placement): object {
  return { sets, pins: Object.fromEntries(pins) };
}

function encodeRecord({ generators, placement, former }: PlacementRecord): string {
  return encodeChecksummed({
    formatVersion: FORMAT_VERSION,
    sets: [...generators].map(([name, generator]) => ({ name, generator })),
    placement: placementText(placement),
    former: former.map(placementText),
  });
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new RangeError('a field is missing');
  return value as Record<string, unknown>;
}

function listOf<Value>(value: unknown, decode: (item: unknown) => Value): Value[] {
  if (!Array.isArray(value)) throw new RangeError('a list is missing');
  return value.map(decode);
}

function decodeSetName(value: unknown): SetName {
  return toSetName(String(value));
}

function decodePlacement(value: unknown): Placement {
  const { sets, pins } = fieldsOf(value);
  return {
    sets: listOf(sets, decodeSetName),
    pins: new Map(Object.entries(fieldsOf(pins)).map(([bucket, set]) => [bucket, decodeSetName(set)])),
  };
}

function decodeRecord(text: string): PlacementRecord {
  const { formatVersion, sets, placement, former } = decodeChecksummed(text);
  if (formatVersion !== FORMAT_VERSION) throw new RangeError('unknown format version');
  const generators = listOf(sets, (item): [SetName, GeneratorId] => {
    const { name, generator } = fieldsOf(item);
    return [decodeSetName(name), toGeneratorId(Number(generator))];
  });
  return {
    generators: new Map(generators),
    placement: decodePlacement(placement),
    former: listOf(former, decodePlacement),
  };
}
