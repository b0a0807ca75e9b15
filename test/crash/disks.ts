/** A small disk of its own for each OSD of a campaign. They are in memory, so a sync costs nothing there. Needs root. */
import { join } from 'node:path';
import { SmallDisk } from '../support/small-disk.js';

/** What an OSD keeps free (64 MiB and a segment of 4), and room for what clients write. */
const SIZE_MEBIBYTES = 384;

export class Disks {
  readonly #disks: ReadonlyMap<string, SmallDisk>;

  private constructor(disks: ReadonlyMap<string, SmallDisk>) {
    this.#disks = disks;
  }

  /** Where the stores of these OSDs will be. */
  static mount(folder: string, osds: readonly string[]): Disks {
    return new Disks(new Map(osds.map((osd) => [osd, new SmallDisk(join(folder, osd), SIZE_MEBIBYTES)])));
  }

  of(osd: string): SmallDisk {
    const disk = this.#disks.get(osd);
    if (disk === undefined) throw new Error(`${osd} has no disk of its own`);
    return disk;
  }

  /** Precondition: the OSDs have ended. What they had is gone. */
  unmount(): void {
    for (const disk of this.#disks.values()) disk.unmount();
  }
}
