/** Steps of one thing that run one after another, and looks at it that fold into one while none has begun. */
export class Steps {
  readonly #failed: (error: unknown) => Promise<void>;
  readonly #step: () => Promise<void>;
  #queue: Promise<void> = Promise.resolve();
  #looking = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  /** `look`: what a look does; `failed`: what is done about a step that throws. */
  constructor(look: () => Promise<void>, failed: (error: unknown) => Promise<void>) {
    this.#step = look;
    this.#failed = failed;
  }

  look(): void {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    void this.run(async () => {
      this.#looking = false;
      if (!this.#closed) await this.#step();
    });
  }

  /** Looks again in `ms`, unless it is asked for another time meanwhile. */
  lookIn(ms: number): void {
    this.cancel();
    this.#timer = setTimeout(() => this.look(), ms);
    this.#timer.unref();
  }

  /** No more looks, those asked for included. */
  close(): void {
    this.#closed = true;
    this.cancel();
  }

  cancel(): void {
    clearTimeout(this.#timer);
  }

  /** Never rejects. */
  run(step: () => Promise<void>): Promise<void> {
    this.#queue = this.#queue.then(step).catch((error: unknown) => this.#failed(error).catch(() => {}));
    return this.#queue;
  }

  /** Rejects with what the step throws; nothing else is done about it. */
  runBare(step: () => Promise<void>): Promise<void> {
    const done = this.#queue.then(step);
    this.#queue = done.catch(() => {});
    return done;
  }
}
