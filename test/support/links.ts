/** The connections between the parts of a system, each of which goes through a proxy of the test's own. */
import { type Caller, type LinkState, OPEN, TcpProxy } from './tcp-proxy.js';

/** From a caller (`gateway`, or an OSD as a peer) to an OSD. */
export interface LinkName {
  readonly from: string;
  readonly to: string;
}

export class Links {
  readonly #proxies: ReadonlyMap<string, TcpProxy>;
  readonly #touched = new Map<string, LinkName>();

  private constructor(proxies: ReadonlyMap<string, TcpProxy>) {
    this.#proxies = proxies;
  }

  static async start(
    osds: readonly { readonly name: string; readonly port: number }[],
    callers: () => readonly Caller[],
  ): Promise<Links> {
    const proxies = new Map<string, TcpProxy>();
    for (const { name, port } of osds) proxies.set(name, await TcpProxy.start(port, callers));
    return new Links(proxies);
  }

  /** Where others reach an OSD. */
  portOf(osd: string): number {
    return this.#proxyOf(osd).port;
  }

  set(links: readonly LinkName[], state: LinkState): void {
    for (const link of links) {
      this.#proxyOf(link.to).setLink(link.from, state);
      this.#touched.set(`${link.from}>${link.to}`, link);
    }
  }

  reset(links: readonly LinkName[]): void {
    for (const { from, to } of links) this.#proxyOf(to).resetLink(from);
  }

  /** Opens every link again; what was held passes on. */
  heal(): void {
    this.set([...this.#touched.values()], OPEN);
    this.#touched.clear();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#proxies.values()].map((proxy) => proxy.close()));
  }

  #proxyOf(osd: string): TcpProxy {
    const proxy = this.#proxies.get(osd);
    if (proxy === undefined) throw new Error(`no proxy before ${osd}`);
    return proxy;
  }
}
