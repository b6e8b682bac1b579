/** Event channels seen from a back end: what libxenevtchn offers. */
export interface EventChannels {
  /** Joins a remote domain's unbound port; returns the local port. Throws SetupError. */
  bindInterdomain(domid: number, remotePort: number): number;
  unbind(port: number): void;
  /** What a datapath thread needs: how to wake the peer, and what becomes readable when the peer wakes us. */
  channel(port: number): Channel;
}

export interface Channel {
  /** Descriptor to signal. */
  readonly notifyFd: number;
  /** Descriptor that becomes readable (edge by edge) with each event of the peer. */
  readonly waitFd: number;
}
