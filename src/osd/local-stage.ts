/** A stage as a user of `OsdConnection` sees it, in the OSD's own process. */
import type { RemoteStage } from '../wire/osd-connection.js';
import type { RegisteredStage } from './stage-registry.js';

export class LocalStage implements RemoteStage {
  readonly #stage: RegisteredStage;
  #failure: Error | null = null;

  constructor(stage: RegisteredStage) {
    this.#stage = stage;
  }

  async write(piece: Buffer, onTaken?: () => void): Promise<void> {
    try {
      if (this.#failure !== null) throw this.#failure;
      await this.#stage.write(piece);
    } catch (error) {
      await this.#stage.abort();
      throw error;
    } finally {
      onTaken?.();
    }
  }

  async finish(): ReturnType<RemoteStage['finish']> {
    if (this.#failure !== null) throw this.#failure;
    const { stageId, lengthBytes, contentChecksum } = await this.#stage.finish();
    return { stageId, lengthBytes, contentChecksum };
  }

  abort(): void {
    this.#failure ??= new Error('the stage was aborted');
    // The stage is the store's to forget; nobody waits for it, and a failure leaves nothing but its content behind.
    void this.#stage.abort().catch((error: unknown) => {
      this.#failure = error instanceof Error ? error : new Error(String(error));
    });
  }
}
