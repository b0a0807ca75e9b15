/** Reads a configuration file. Whatever is wrong with it is said with file, line and column. */
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { Compile } from 'typebox/compile';
import { Settings } from 'typebox/system';
import { type Document, isMap, isNode, isPair, isScalar, LineCounter, type Node, parseDocument } from 'yaml';
import { type ConfigurationLayer, configurationSchema } from './configuration-schema.js';
import type { SettingPath } from './configuration-fault.js';
import { EXIT } from './exit-codes.js';
import { nearestWord } from './nearest-word.js';
import { OperationalError } from './operational-error.js';
import { fileError } from './system-error.js';

const CONFIGURATION_BYTES_MAX = 1024 * 1024;
const ALIASES_MAX = 100;
/** Faults that are told at once. */
const FAULTS_TOLD_MAX = 20;
const SCHEMA_ERRORS_MAX = 100;

interface Fault {
  /** Names and indices from the top. */
  readonly path: readonly string[];
  readonly message: string;
}

/** A line for each fault: FILE:LINE:COLUMN: what is wrong. */
function configurationError(message: string, cause?: unknown): OperationalError {
  return new OperationalError('bad-configuration', EXIT.configuration, message, { cause });
}

/** The part of the file that a fault is about: the key for something that must not be there, else the value. */
function nodeAt(document: Document, path: readonly string[]): Node | null {
  const parent = document.getIn(path.slice(0, -1), true);
  if (isMap(parent)) {
    const pair = parent.items.find(
      (item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1),
    );
    if (pair !== undefined && isScalar(pair.key)) return pair.key;
  }
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node : isNode(parent) ? parent : null;
}

function compileSchema() {
  return Compile(configurationSchema);
}

let compiledSchema: ReturnType<typeof compileSchema> | null = null;

/** Compiled on first use: importing a module does no work. */
function schemaValidator(): ReturnType<typeof compileSchema> {
  if (compiledSchema !== null) return compiledSchema;
  // By default typebox stops at 8, of which a misspelt setting makes two.
  Settings.Set({ maxErrors: SCHEMA_ERRORS_MAX });
  compiledSchema = compileSchema();
  return compiledSchema;
}

/** Names of the settings beside one that there is not. */
function settingsBeside(path: readonly string[]): readonly string[] {
  let schema: unknown = configurationSchema;
  for (const step of path.slice(0, -1)) {
    schema = memberOf(schema, 'properties', step) ?? memberOf(schema, 'items');
  }
  return Object.keys(memberOf(schema, 'properties') ?? {});
}

/** What is there when one member after the other is taken; null: nothing, or no object. */
function memberOf(value: unknown, ...names: readonly string[]): object | null {
  let found = value;
  for (const name of names) {
    if (typeof found !== 'object' || found === null) return null;
    found = Object.getOwnPropertyDescriptor(found, name)?.value;
  }
  return typeof found === 'object' ? found : null;
}

function unknownSetting(path: readonly string[]): string {
  const meant = nearestWord(path.at(-1) ?? '', settingsBeside(path));
  return `there is no setting "${path.join('.')}"${meant === null ? '' : `; is "${meant}" meant?`}`;
}

/** Every fault in words, one of each place. */
function faultsOf(value: unknown): readonly Fault[] {
  const faults = new Map<string, Fault>();
  for (const error of schemaValidator().Errors(value)) {
    const path = error.instancePath.split('/').slice(1);
    const name = path.length === 0 ? 'the configuration' : path.join('.');
    if (error.keyword === 'additionalProperties' || faults.has(name)) continue;
    faults.set(name, { path, message: messageOf(name, path, error) });
  }
  return [...faults.values()];
}

type SchemaError = ReturnType<ReturnType<typeof compileSchema>['Errors']>[number];

function messageOf(name: string, path: readonly string[], error: SchemaError): string {
  switch (error.keyword) {
    case 'boolean':
      return unknownSetting(path);
    case 'enum':
      return `${name} must be one of ${error.params.allowedValues.join(', ')}`;
    case 'type':
      return `${name} must be ${[error.params.type].flat().map(typeInWords).join(' or ')}`;
    case 'minimum':
      return `${name} must be at least ${error.params.limit}`;
    case 'maximum':
      return `${name} must be at most ${error.params.limit}`;
    default:
      return `${name} ${error.message}`;
  }
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  object: 'a group of settings',
  array: 'a list',
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

function typeInWords(type: string): string {
  return TYPE_WORDS[type] ?? type;
}

/** Why a layer that came from elsewhere than a file is no configuration; null when it is one. */
export function configurationFault(layer: ConfigurationLayer): string | null {
  return schemaValidator().Check(layer) ? null : (faultsOf(layer)[0]?.message ?? 'no configuration');
}

/** Settings that are paths end in File. */
function inFolder<Section extends object>(section: Section, folder: string): Section {
  const entries = Object.entries(section).map(([name, value]: [string, unknown]) =>
    name.endsWith('File') && typeof value === 'string' ? [name, resolve(folder, value)] : [name, value],
  );
  return Object.fromEntries(entries) as Section;
}

function withTls<Tls extends object, Section extends { readonly tls?: Tls }>(
  section: Section,
  folder: string,
): Section {
  return section.tls === undefined ? section : { ...section, tls: inFolder(section.tls, folder) };
}

type Members = NonNullable<NonNullable<ConfigurationLayer['mirrorSet']>['members']>;

function withSockets<Section extends { readonly members?: Members }>(
  section: Section,
  folder: string,
): Section {
  if (section.members === undefined) return section;
  const members = section.members.map((member) =>
    member.socket === undefined ? member : { ...member, socket: resolve(folder, member.socket) },
  );
  return { ...section, members };
}

function withAbsolutePaths(layer: ConfigurationLayer, folder: string): ConfigurationLayer {
  const at = (path: string) => resolve(folder, path);
  const { data, mirrorSet, furtherSets, gateway, s3, admin, credentials, osd, log, metrics } = layer;
  return {
    ...layer,
    ...(data !== undefined && { data: at(data) }),
    ...(mirrorSet !== undefined && { mirrorSet: withSockets(inFolder(mirrorSet, folder), folder) }),
    ...(furtherSets !== undefined && {
      furtherSets: furtherSets.map((set) => withSockets(inFolder(set, folder), folder)),
    }),
    ...(s3 !== undefined && { s3: withTls(inFolder(s3, folder), folder) }),
    ...(gateway?.authority !== undefined && { gateway: { ...gateway, authority: at(gateway.authority) } }),
    ...(admin !== undefined && {
      admin: {
        ...withTls(inFolder(admin, folder), folder),
        ...(admin.tokens !== undefined && { tokens: admin.tokens.map((token) => inFolder(token, folder)) }),
      },
    }),
    ...(credentials !== undefined && {
      credentials: {
        ...credentials,
        ...(credentials.file !== undefined && { file: at(credentials.file) }),
        ...(credentials.keysFile !== undefined && { keysFile: at(credentials.keysFile) }),
        ...(credentials.keys !== undefined && {
          keys: credentials.keys.map((key) =>
            key.file === undefined ? key : { ...key, file: at(key.file) },
          ),
        }),
      },
    }),
    ...(osd !== undefined && {
      osd: withTls({ ...osd, ...(osd.store !== undefined && { store: at(osd.store) }) }, folder),
    }),
    ...(log?.folder !== undefined && { log: { ...log, folder: at(log.folder) } }),
    ...(metrics?.tokenFile !== undefined && { metrics: { ...metrics, tokenFile: at(metrics.tokenFile) } }),
  };
}

/** `path` is only used in messages and for relative paths. Throws OperationalError. */
export function parseConfiguration(text: string, path: string): ConfigurationLayer {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const place = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) {
    throw configurationError(
      `${place(syntaxError.pos[0])}: not valid YAML: ${syntaxError.message}`,
      syntaxError,
    );
  }
  const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX }) ?? {};
  if (schemaValidator().Check(value)) return withAbsolutePaths(value, dirname(resolve(path)));
  const offsetOf = ({ path: steps }: Fault): number => nodeAt(document, steps)?.range?.[0] ?? 0;
  const faults = faultsOf(value).toSorted((one, other) => offsetOf(one) - offsetOf(other));
  const told = faults.slice(0, FAULTS_TOLD_MAX).map((fault) => `${place(offsetOf(fault))}: ${fault.message}`);
  const untold = faults.length > told.length ? [`... and ${faults.length - told.length} more`] : [];
  throw configurationError([...told, ...untold].join('\n'));
}

/** Where a setting stands in a file that was read without a fault: FILE:LINE:COLUMN. Null: it is not there. */
export async function placeOfSetting(path: string, setting: SettingPath): Promise<string | null> {
  const lines = new LineCounter();
  const document = parseDocument(await readFile(path, 'utf8'), { lineCounter: lines });
  const steps = setting.map(String);
  // The secret of a section may be there as its file.
  const node = document.hasIn(steps) ? nodeAt(document, steps) : nodeAt(document, steps.slice(0, -1));
  if (steps.length === 0 || node === null) return null;
  const { line, col } = lines.linePos(node.range?.[0] ?? 0);
  return `${path}:${line}:${col}`;
}

/** Does a layer have this setting, or the list that it would be in? */
export function hasSetting(layer: ConfigurationLayer, setting: SettingPath): boolean {
  let value: unknown = layer;
  for (const step of setting) {
    if (Array.isArray(value)) return true;
    if (typeof value !== 'object' || value === null) return false;
    value = Object.getOwnPropertyDescriptor(value, step)?.value;
  }
  return value !== undefined && setting.length > 0;
}

/** Throws OperationalError. */
export async function readConfigurationFile(path: string): Promise<ConfigurationLayer> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError(error, 'The configuration', path);
  }
  if (text.length > CONFIGURATION_BYTES_MAX) {
    throw configurationError(`${path}: too large for a configuration`);
  }
  return parseConfiguration(text, path);
}
