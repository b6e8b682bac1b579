/** How a tap reads and writes a burst: results[i] is bytes or a negative errno. */
export interface BurstIo {
  readonly kind: 'io_uring' | 'plain';
  read(iovs: number, n: number, results: number): void;
  /** counts[i] iovecs from iovs + i × IOV_STRIDE on. */
  write(iovs: number, counts: Uint8Array, n: number, results: number): void;
  close(): void;
}
