/** One transfer by itself: a machine with a bare guest of that strategy and another domain, and segments to move. */
import {
  S_DST_ADDR,
  S_DST_DOM,
  S_DST_GREF,
  S_DST_OFF,
  S_LEN,
  S_SRC_ADDR,
  S_SRC_DOM,
  S_SRC_GREF,
  S_SRC_OFF,
  S_STATUS,
  SEG_SIZE,
} from '../../assembly/layout.js';
import type { Transfer } from '../../src/transfer/transfer.js';
import { Machine } from '../support/machine.js';
import type { Strategy } from './transfer.suite.js';

/** One end: an address of the arena, or a place in a page that `domid` (by default the guest) granted. */
export type End = number | { gref: number; offset?: number; domid?: number };
export interface Move {
  readonly from: End;
  readonly to: End;
  readonly length: number;
}

const MOVES_MAX = 1024;

export function segmentWorld(strategy: Strategy, machine = new Machine()) {
  let captured: Transfer | undefined;
  const guest = machine.addBareGuest('guest', {
    transfer: strategy,
    wrapTransfer: (transfer) => {
      captured = transfer;
      return transfer;
    },
  });
  const transfer = captured;
  if (!transfer) throw new Error('the vif made no transfer');
  const { view, u8 } = machine.arena;
  const list = machine.arena.allocate(MOVES_MAX * SEG_SIZE, 'segments');
  const end = (what: End, [address, gref, offset, dom]: readonly number[]) => {
    if (typeof what === 'number') {
      view.setUint32(address, what, true);
      return;
    }
    view.setUint32(gref, what.gref, true);
    view.setUint16(offset, what.offset ?? 0, true);
    view.setUint16(dom, what.domid ?? guest.domain.domid, true);
  };
  /** Moves them as one batch; each one's status. */
  const move = (moves: readonly Move[]): number[] => {
    if (moves.length > MOVES_MAX) throw new RangeError(`${moves.length} moves`);
    u8.fill(0, list, list + moves.length * SEG_SIZE);
    moves.forEach(({ from, to, length }, i) => {
      const at = list + i * SEG_SIZE;
      end(from, [at + S_SRC_ADDR, at + S_SRC_GREF, at + S_SRC_OFF, at + S_SRC_DOM]);
      end(to, [at + S_DST_ADDR, at + S_DST_GREF, at + S_DST_OFF, at + S_DST_DOM]);
      view.setUint16(at + S_LEN, length, true);
    });
    transfer.move(list, moves.length);
    return moves.map((_, i) => view.getInt16(list + i * SEG_SIZE + S_STATUS, true));
  };
  return { machine, guest, transfer, move, u8 };
}
