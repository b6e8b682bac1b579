/** CLOCK_MONOTONIC, the one clock that several processes read alike. */

const offset = (() => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds * 1000 + nanoseconds / 1e6 - performance.now();
})();

/** In milliseconds. Allocates nothing, unlike process.hrtime(). */
export function now(): number {
  return offset + performance.now();
}
