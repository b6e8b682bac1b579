// A bounded stack of addresses in the arena: free buffers, free pages. Last in, first out keeps them warm.
import { STACK_CAPACITY, STACK_COUNT, STACK_ITEMS } from './netif_layout';

export function stackPush(stack: u32, item: u32): void {
  const n = load<u32>(stack, STACK_COUNT);
  if (n >= load<u32>(stack, STACK_CAPACITY)) return; // cannot be: every item has its place
  store<u32>(stack + STACK_ITEMS + (n << 2), item);
  store<u32>(stack, n + 1, STACK_COUNT);
}

/** The last item, or 0. */
export function stackPop(stack: u32): u32 {
  const n = load<u32>(stack, STACK_COUNT);
  if (n == 0) return 0;
  store<u32>(stack, n - 1, STACK_COUNT);
  return load<u32>(stack + STACK_ITEMS + ((n - 1) << 2));
}
