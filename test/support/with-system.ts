import { type SystemOptions, TallySystem } from './tally-system.js';

/** Runs a test on a system of its own. When the test fails, the folder with data and logs stays, and is named. */
export async function withSystem(
  test: (system: TallySystem) => Promise<void>,
  options: SystemOptions = {},
): Promise<void> {
  const system = await TallySystem.start(options);
  try {
    await test(system);
  } catch (error) {
    await system.dispose(true);
    const detail = error instanceof Error ? error.message : String(error);
    throw new Error(`${detail}\n(data and logs: ${system.folder})`, { cause: error });
  }
  await system.dispose();
}
