/**
 * A way between two processes of one gateway. Messages arrive whole, in the order in which they were sent, once each, or not at all:
 * then the channel is closed, on both sides, for good.
 */
export interface Channel {
  /** Takes anything that structured cloning takes. Does nothing once it is closed. */
  send(message: unknown): void;
  /** Called for every message, and once when it is closed. Set once, at once. */
  listen(listener: { readonly onMessage: (message: unknown) => void; readonly onClosed: () => void }): void;
  close(): void;
}
