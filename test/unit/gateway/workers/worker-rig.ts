/** A gateway whose workers are in this process, with channels that lose what is on its way when a worker is killed. */
import { makeChannelPair } from '../../../fakes/memory-channel.js';
import type { ObjectStorage } from '../../../../src/gateway/object-storage.js';
import { Peer } from '../../../../src/gateway/workers/peer.js';
import { GatewayWorker } from '../../../../src/gateway/workers/worker.js';
import { WorkerFleet } from '../../../../src/gateway/workers/worker-fleet.js';
import type { ObjectId } from '../../../../src/protocol/object-id.js';
import { writerOf } from '../../../../src/protocol/shard.js';
import { toGeneratorId } from '../../../../src/protocol/tag.js';
import { GatewayRig, idOf, SET_ID } from '../gateway-rig.js';

const logger = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

interface Running {
  readonly worker: GatewayWorker;
  /** Its ends of the channels to the others. */
  readonly peers: Map<number, Peer>;
  readonly authority: Peer;
}

export class WorkerRig extends GatewayRig {
  readonly count: number;
  readonly #running = new Map<number, Running>();
  /** Whether a killed worker comes back by itself. */
  respawns = true;
  readonly stuck: number[] = [];

  constructor(count = 2, mirrorCount = 2) {
    super(mirrorCount);
    this.count = count;
    this.generator = toGeneratorId(count);
    this.fleet = new WorkerFleet({
      generators: Array.from({ length: count }, (_, index) => toGeneratorId(index)),
      stepWithinMs: 5000,
      onStuck: (index) => this.stuck.push(index),
    });
  }

  override async startAndWait(): Promise<this> {
    await this.start();
    for (let index = 0; index < this.count; index += 1) this.spawn(index);
    await this.untilInSync(...this.osds.keys());
    return this;
  }

  worker(index: number): GatewayWorker {
    const running = this.#running.get(index);
    if (running === undefined) throw new RangeError(`no worker ${index}`);
    return running.worker;
  }

  /** What the S3 endpoint of this worker uses. */
  storageOf(index: number): ObjectStorage {
    return this.worker(index).storage;
  }

  spawn(index: number): void {
    const { fleet } = this;
    if (fleet === null) throw new RangeError('no fleet');
    const [ours, theirs] = makeChannelPair();
    const authority = new Peer('the gateway', theirs);
    const worker = new GatewayWorker(
      { index, generators: fleet.generators },
      {
        setId: SET_ID,
        members: this.osds.map(({ mirror, connection }) => ({ mirror, connection })),
        logger,
        gateWaitMs: 3000,
        readLeaseMs: 300,
      },
      authority,
      fleet.state,
    );
    const running: Running = { worker, peers: new Map(), authority };
    for (const [other, { worker: met, peers }] of this.#running) {
      const [here, there] = makeChannelPair();
      const toOther = new Peer(`worker ${other}`, here);
      const toThis = new Peer(`worker ${index}`, there);
      running.peers.set(other, toOther);
      peers.set(index, toThis);
      met.connect(index, toThis);
      worker.connect(other, toOther);
    }
    this.#running.set(index, running);
    const peer = new Peer(`worker ${index}`, ours);
    // One that was the first to start is ready when the last one is there.
    if (this.#running.size < this.count) this.#waiting.set(index, peer);
    else {
      for (const [earlier, waiting] of this.#waiting) fleet.join(earlier, waiting);
      this.#waiting.clear();
      fleet.join(index, peer);
    }
  }

  readonly #waiting = new Map<number, Peer>();

  /** The process is gone; what it had sent to the mirrors may still arrive there. */
  kill(index: number): void {
    const running = this.#running.get(index);
    if (running === undefined) throw new RangeError(`no worker ${index}`);
    this.#running.delete(index);
    running.worker.writer.shut('it was killed');
    running.authority.close();
    for (const peer of running.peers.values()) peer.close();
    if (this.respawns) setTimeout(() => this.spawn(index), 20);
  }

  /** A name whose object this worker writes. */
  nameOf(index: number, prefix = 'object'): string {
    for (let number = 0; ; number += 1) {
      const name = `${prefix}-${number}`;
      if (writerOf(idOf(name), this.count) === index) return name;
    }
  }

  async putThrough(index: number, name: string, content: string): Promise<void> {
    const storage = this.storageOf(index);
    const sink = storage.openContent(idOf(name), null);
    await sink.write(Buffer.from(content));
    await storage.replace({ id: idOf(name), content: await sink.finish(), attributes: '' });
  }

  async getThrough(index: number, name: string): Promise<string | null> {
    const read = await this.storageOf(index).read(idOf(name), { kind: 'whole' });
    if (read === null) return null;
    const pieces: Buffer[] = [];
    for await (const piece of read.body) pieces.push(piece);
    return Buffer.concat(pieces).toString('latin1');
  }

  async stop(): Promise<void> {
    this.fleet?.end();
    await this.gateway.stop();
  }
}

/** Uses another worker's storage for every call, so that most go to a writer elsewhere. */
export function alternating(storages: readonly ObjectStorage[]): ObjectStorage {
  let calls = 0;
  const next = (): ObjectStorage => {
    calls += 1;
    const storage = storages[calls % storages.length];
    if (storage === undefined) throw new RangeError('no storage');
    return storage;
  };
  return {
    head: (id: ObjectId) => next().head(id),
    read: (...parameters) => next().read(...parameters),
    list: (request) => next().list(request),
    openContent: (...parameters) => next().openContent(...parameters),
    composeContent: (sources) => next().composeContent(sources),
    replace: (request) => next().replace(request),
    writeRange: (request) => next().writeRange(request),
    setAttributes: (request) => next().setAttributes(request),
    remove: (request) => next().remove(request),
  };
}
