/** `fetch` for a server whose certificate comes from an authority of one's own. */
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

export async function makeTrustingFetch(material: TlsMaterial): Promise<Fetch> {
  // Only commands need it: services must not carry it.
  const { Agent, fetch: fetchWith } = await import('undici');
  const dispatcher = new Agent({ connect: secureContextOf(material) });
  return (url, request) => fetchWith(url, { ...request, dispatcher });
}
