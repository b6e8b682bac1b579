// What the lab and the benchmark measure us against: a plain copy of the same bytes, and nothing else.

/** Copies `n` runs of `length` bytes between pages at fixed strides: as fast as WebAssembly copies on this machine. */
export function copyRuns(to: u32, toStride: u32, from: u32, fromStride: u32, length: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i++) memory.copy(to + i * toStride, from + i * fromStride, length);
}

/** The same between places in any order: `n` pairs of addresses at `pairs`, to and from. */
export function copyPairs(pairs: u32, length: u32, n: u32): void {
  for (let i: u32 = 0; i < n; i++)
    memory.copy(load<u32>(pairs + (i << 3)), load<u32>(pairs + (i << 3), 4), length);
}
