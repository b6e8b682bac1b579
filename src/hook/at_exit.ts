/** What has to be done when the process ends by itself: by one listener, however many want something. */
const steps = new Set<() => void>();

function runAll(): void {
  for (const step of steps) step();
}

/** Does `step` then; what comes back takes that back, once or more often. */
export function atExit(step: () => void): () => void {
  if (steps.size === 0) process.once('exit', runAll);
  steps.add(step);
  return () => {
    if (steps.delete(step) && steps.size === 0) process.off('exit', runAll);
  };
}
