/** Two streams, each reading what the other writes: a connection inside one process. */
import { Duplex } from 'node:stream';

class PairEnd extends Duplex {
  #peer: PairEnd | undefined;
  /** Set while a write waits for the peer to read. */
  #written: (() => void) | undefined;

  static join(a: PairEnd, b: PairEnd): void {
    a.#peer = b;
    b.#peer = a;
  }

  override _read(): void {
    const peer = this.#peer;
    if (!peer) return;
    const written = peer.#written;
    peer.#written = undefined;
    written?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    // A full peer calls _read when it has room again.
    const full = this.#peer !== undefined && !this.#peer.destroyed && !this.#peer.push(chunk);
    if (full) this.#written = callback;
    else callback();
  }

  override _final(callback: () => void): void {
    this.#peer?.push(null);
    callback();
  }

  /** As with sockets, the end of one is the end of the other. */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    const peer = this.#peer;
    this.#peer = undefined;
    this.#written = undefined;
    if (peer && !peer.destroyed) peer.destroy();
    callback(error);
  }
}

/** Both ends; destroying one destroys the other. */
export function streamPair(): [Duplex, Duplex] {
  const [a, b] = [new PairEnd(), new PairEnd()];
  PairEnd.join(a, b);
  return [a, b];
}
