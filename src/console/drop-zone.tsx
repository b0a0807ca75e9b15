/** Takes files that are dropped or chosen, and uploads them one after another. */
import { useRef, useState } from 'preact/hooks';
import { formatBytes } from './text.ts';

interface Transfer {
  readonly id: number;
  readonly name: string;
  readonly sizeBytes: number;
  readonly sentBytes: number;
  readonly state: 'waiting' | 'sending' | 'done' | 'failed';
  readonly message: string;
}

export interface DropZoneProps {
  readonly upload: (file: File, onProgress: (sentBytes: number) => void) => Promise<void>;
  readonly onDone: () => void;
}

const SHOWN_MAX = 8;

export function DropZone({ upload, onDone }: DropZoneProps) {
  const [transfers, setTransfers] = useState<readonly Transfer[]>([]);
  const [isOver, setIsOver] = useState(false);
  const queue = useRef<Promise<void>>(Promise.resolve());
  const nextId = useRef(0);
  const amend = (id: number, change: Partial<Transfer>): void => {
    setTransfers((all) =>
      all.map((transfer) => (transfer.id === id ? { ...transfer, ...change } : transfer)),
    );
  };
  const send = async (id: number, file: File): Promise<void> => {
    amend(id, { state: 'sending' });
    try {
      await upload(file, (sentBytes) => amend(id, { sentBytes }));
      amend(id, { state: 'done', sentBytes: file.size });
      onDone();
    } catch (error) {
      amend(id, { state: 'failed', message: error instanceof Error ? error.message : String(error) });
    }
  };
  const take = (files: FileList | null | undefined): void => {
    for (const file of files ?? []) {
      nextId.current += 1;
      const id = nextId.current;
      const { name, size: sizeBytes } = file;
      const transfer: Transfer = { id, name, sizeBytes, sentBytes: 0, state: 'waiting', message: '' };
      setTransfers((all) => [transfer, ...all]);
      queue.current = queue.current.then(() => send(id, file));
    }
  };
  return (
    <div
      class={`drop ${isOver ? 'over' : ''}`}
      onDragOver={(event) => {
        event.preventDefault();
        setIsOver(true);
      }}
      onDragLeave={() => setIsOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setIsOver(false);
        take(event.dataTransfer?.files);
      }}
    >
      <label>
        Drop files here, or <span class="link-like">choose some</span>
        <input
          type="file"
          multiple
          class="unseen"
          onChange={(event) => {
            take(event.currentTarget.files);
            event.currentTarget.value = '';
          }}
        />
      </label>
      {transfers.length > 0 && (
        <ul>
          {transfers.slice(0, SHOWN_MAX).map(({ id, name, sizeBytes, sentBytes, state, message }) => (
            <li key={id} class={state}>
              <span class="name">{name}</span>
              <progress
                max={Math.max(1, sizeBytes)}
                value={state === 'done' ? Math.max(1, sizeBytes) : sentBytes}
                aria-label={`Upload of ${name}`}
              />
              <span>
                {state === 'failed'
                  ? message
                  : state === 'done'
                    ? `${formatBytes(sizeBytes)}, stored`
                    : state}
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
