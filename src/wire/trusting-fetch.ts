/** `fetch` for a server whose certificate comes from an authority of one's own. */
import { Agent, fetch as fetchWith } from 'undici';
import { secureContextOf, type TlsMaterial } from '../tls/tls-material.js';

export interface FetchRequest {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

export interface FetchAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly body: ReadableStream<Uint8Array> | null;
  text(): Promise<string>;
}

export type Fetch = (url: string, request: FetchRequest) => Promise<FetchAnswer>;

export function makeTrustingFetch(material: TlsMaterial): Fetch {
  const dispatcher = new Agent({ connect: secureContextOf(material) });
  return (url, request) => fetchWith(url, { ...request, dispatcher });
}
