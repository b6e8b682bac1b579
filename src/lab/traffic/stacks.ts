/** The text of `perf script -F comm,pid,tid,ip,sym,dso`: a line a sample, then its call chain, the leaf first. */

export interface Frame {
  /** Without its offset; `[unknown]` where there is no symbol. */
  readonly symbol: string;
  /** The file it is in, as perf names it: `[kernel.kallsyms]`, `/usr/bin/node`, `/tmp/perf-42.map`. */
  readonly object: string;
}

export interface Stack {
  readonly comm: string;
  readonly pid: number;
  readonly tid: number;
  /** Leaf first; empty when perf could not unwind at all. */
  readonly frames: readonly Frame[];
}

/** `node  2113/2120` or `node 2113`, with perf's padding; a comm may hold spaces. */
const HEAD = /^(\S.*?)\s+(\d+)(?:\/(\d+))?\s*:?\s*$/;
/** `\t ffffffff821cd101 mas_prev+0x1 ([kernel.kallsyms])`: a symbol may hold spaces and brackets, the object comes last. */
const FRAME = /^\s+[0-9a-f]+ (.*) \((.*)\)$/;

/** Every sample of the text; what is not one is passed over. */
export function parseStacks(text: string): Stack[] {
  const stacks: Stack[] = [];
  let frames: Frame[] | undefined;
  for (const line of text.split('\n')) {
    const frame = frames && FRAME.exec(line);
    if (frame) {
      frames?.push({ symbol: frame[1].replace(/\+0x[0-9a-f]+$/, ''), object: frame[2] });
      continue;
    }
    const head = HEAD.exec(line);
    if (!head) continue;
    frames = [];
    stacks.push({ comm: head[1], pid: Number(head[2]), tid: Number(head[3] ?? head[2]), frames });
  }
  return stacks;
}
