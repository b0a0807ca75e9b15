/**
 * Stands between a client and an OSD as if each were of the release before the other, and holds what passes to a frozen contract.
 *
 * The header with the versions is taken off both ways, so that both sides speak version 1, or says what this one is told. Each request and answer is compared with
 * the document: its route, its parameters, its JSON or the header of its frame. Bodies pass as they come, with their trailers.
 */
import {
  createServer,
  type IncomingMessage,
  request as send,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { Compile } from 'typebox/schema';
import { parse } from 'yaml';
import { type ContractRange, formatContract } from '../../src/wire/contract-version.js';
import { HEADER_CONTRACT, MEDIA_FRAME, MEDIA_JSON, SERVER_KEEP_ALIVE_MS } from '../../src/wire/contract.js';
import { splitFrame } from '../../src/wire/frame.js';

type Schema = Readonly<Record<string, unknown>>;
type Content = Readonly<Record<string, { readonly schema?: Schema }>>;

interface Parameter {
  readonly name: string;
  readonly in: string;
}

interface Body {
  readonly content?: Content;
}

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly (Parameter | Reference)[];
  readonly requestBody?: Body | Reference;
  readonly responses: Readonly<Record<string, Body | Reference>>;
}

interface Reference {
  readonly $ref: string;
}

interface Contract {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

interface Route {
  readonly pattern: RegExp;
  readonly method: string;
  readonly operation: Operation;
}

interface Message {
  readonly mediaType: string | undefined;
  readonly bytes: Buffer;
}

interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly request: Message;
  readonly answer: Message;
}

function isReference(value: object): value is Reference {
  return '$ref' in value;
}

/** A document like openapi/osd.yaml, as something to hold exchanges to. */
export class FrozenContract {
  readonly #document: Contract;
  readonly #routes: readonly Route[];
  readonly #validators = new Map<Schema, ReturnType<typeof Compile>>();

  constructor(yaml: string) {
    this.#document = parse(yaml) as Contract;
    this.#routes = Object.entries(this.#document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, operation]) => ({
        pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
        method: method.toUpperCase(),
        operation,
      })),
    );
  }

  get operationIds(): string[] {
    return this.#routes.map(({ operation }) => operation.operationId);
  }

  /** What about an exchange is not as it should be. */
  violationsOf(seen: Exchange): string[] {
    const url = new URL(seen.path, 'http://osd');
    const operation = this.#operationOf(seen.method, url);
    if (operation === null) return [`${seen.method} ${url.pathname} is no route`];
    const { operationId, parameters = [], requestBody, responses } = operation;
    const known = parameters.map((parameter) => this.#resolve<Parameter>(parameter).name);
    const violations = [...url.searchParams.keys()]
      .filter((name) => !known.includes(name))
      .map((name) => `${operationId}: unknown parameter ${name}`);
    // What was refused as malformed need not be well formed.
    if (requestBody !== undefined && seen.status === 200) {
      violations.push(...this.#check(`${operationId} request`, requestBody, seen.request));
    }
    const response = responses[seen.status] ?? responses['default'];
    if (response === undefined) return [...violations, `${operationId}: status ${seen.status}`];
    return [...violations, ...this.#check(`${operationId} ${seen.status}`, response, seen.answer)];
  }

  operationIdOf({ method, path }: Exchange): string | null {
    return this.#operationOf(method, new URL(path, 'http://osd'))?.operationId ?? null;
  }

  #operationOf(method: string, { pathname }: URL): Operation | null {
    const route = this.#routes.find((each) => each.method === method && each.pattern.test(pathname));
    return route?.operation ?? null;
  }

  #check(what: string, described: Body | Reference, { mediaType, bytes }: Message): string[] {
    const { content = {} } = this.#resolve<Body>(described);
    if (mediaType === undefined || !Object.hasOwn(content, mediaType))
      return [`${what}: media type ${mediaType}`];
    const schema = content[mediaType]?.schema;
    if (schema === undefined || (mediaType !== MEDIA_FRAME && mediaType !== MEDIA_JSON)) return [];
    const value: unknown =
      mediaType === MEDIA_FRAME ? splitFrame(bytes).header : JSON.parse(bytes.toString('utf8'));
    const validator = this.#validatorOf(schema);
    if (validator.Check(value)) return [];
    const [, errors] = validator.Errors(value);
    return [`${what}: ${JSON.stringify(errors.slice(0, 3))}`];
  }

  #validatorOf(schema: Schema): ReturnType<typeof Compile> {
    const validator =
      this.#validators.get(schema) ?? Compile({ ...schema, components: this.#document.components });
    this.#validators.set(schema, validator);
    return validator;
  }

  #resolve<Kind extends object>(value: Kind | Reference): Kind {
    if (!isReference(value)) return value;
    const [, , section = '', name = ''] = value.$ref.split('/');
    return this.#document.components[section]?.[name] as Kind;
  }
}

/** What exchanges are held to. */
type Judge = Pick<FrozenContract, 'violationsOf' | 'operationIdOf'>;

export class ContractWitness {
  /** What passed that is not what the contract says. */
  readonly violations: string[] = [];
  /** Operations that were answered with 200. */
  readonly operationsSeen = new Set<string>();
  readonly #contract: Judge;
  readonly #said: Readonly<Record<string, string>>;
  readonly #server: Server;
  #target = '';

  /** `said`: which versions each side hears of the other; null: nothing, as it was in version 1. */
  constructor(contract: Judge, said: ContractRange | null = null) {
    this.#contract = contract;
    this.#said = said === null ? {} : { [HEADER_CONTRACT]: formatContract(said) };
    this.#server = createServer((request, response) => {
      this.#pass(request, response);
    });
    // Longer than the client keeps a connection: it lets go first.
    this.#server.keepAliveTimeout = SERVER_KEEP_ALIVE_MS;
  }

  /** Resolves with the URL to call instead of `target`. */
  async listen(target: string): Promise<string> {
    this.#target = target;
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const { method = '', url = '', headers } = request;
    const { [HEADER_CONTRACT]: _said, ...passed } = headers;
    const asked: Buffer[] = [];
    const answered: Buffer[] = [];
    const upstream = send(this.#target + url, { method, headers: { ...passed, ...this.#said } }, (answer) => {
      const { [HEADER_CONTRACT]: _answered, ...answerHeaders } = answer.headers;
      response.writeHead(answer.statusCode ?? 0, { ...answerHeaders, ...this.#said });
      answer.on('data', (piece: Buffer) => answered.push(piece));
      answer.on('end', () => {
        response.addTrailers(answer.trailers);
        response.end();
        this.#judge({
          ...{ method, path: url, status: answer.statusCode ?? 0 },
          request: { mediaType: headers['content-type'], bytes: Buffer.concat(asked) },
          answer: { mediaType: answer.headers['content-type'], bytes: Buffer.concat(answered) },
        });
      });
      answer.on('close', () => {
        if (!answer.complete) response.destroy();
      });
      answer.pipe(response, { end: false });
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => {
      if (!response.writableFinished) upstream.destroy();
    });
    request.on('data', (piece: Buffer) => asked.push(piece));
    request.pipe(upstream);
  }

  #judge(seen: Exchange): void {
    this.violations.push(...this.#contract.violationsOf(seen));
    const operationId = this.#contract.operationIdOf(seen);
    if (operationId !== null && seen.status === 200) this.operationsSeen.add(operationId);
  }
}
