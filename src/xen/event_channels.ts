/** Event channels seen from a back end: what libxenevtchn offers. */
export interface EventChannels {
  /** Joins a remote domain's unbound port; returns the local port. Throws SetupError. */
  bindInterdomain(domid: number, remotePort: number): number;
  unbind(port: number): void;
  /** What a datapath thread needs: how to wake the peer, and how to hear that the peer wakes us. Plain data. */
  channel(port: number): Channel;
}

export interface Channel {
  /** The local port. */
  readonly port: number;
  /** Descriptor to signal: an eventfd, or (native) /dev/xen/evtchn, which is told the port. */
  readonly notifyFd: number;
  /** Descriptor that becomes readable (edge by edge) with each event of the peer; natively with those of all channels. */
  readonly waitFd: number;
}

/** A datapath thread's half: events come out of its wait as the tokens they were added with. */
export interface EventSource {
  /** `channel` reports `token` (not 0) from now on. True: what came before is lost, so its port should look. */
  add(channel: Channel, token: number): boolean;
  /** It reports no more. Its owner unbinds it afterwards. */
  remove(channel: Channel): void;
  /**
   * What wakes the peer of `channel`; made once, called for every wake-up, never blocks for longer than a system call: where a
   * peer can make it wait, not with `wary`, nor for long.
   */
  notifier(channel: Channel, wary?: boolean): () => void;
  /** The thread took long for what it did; where peers can make signals wait, these are looked at. */
  suspect?(): void;
  /**
   * The thread's wait reported EVENTS_TOKEN: takes the events that are there. Returns how many tokens `token(i)` has;
   * 0 where channels report by descriptors of their own.
   */
  collect(): number;
  /** The i-th token of the last collect. */
  token(i: number): number;
  close(): void;
}

/** In a thread's epoll: events are there to be collected. */
export const EVENTS_TOKEN = 0xfffffffe;
