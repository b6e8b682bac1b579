/** What took the direct lane. */
import type { Loops } from '../../src/arena/loops.js';

/** Loops that tell of each batch of turns how many frames were moved by it. */
export function tellingLane(loops: Loops, tell: (frames: number) => void): Pick<Loops, 'laneTurns'> {
  return {
    laneTurns: (...turns) => {
      const before = loops.lanePassed();
      const seen = loops.laneTurns(...turns);
      tell((loops.lanePassed() - before) >>> 0);
      return seen;
    },
  };
}
