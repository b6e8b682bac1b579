/** Steps that take back what was set up, last first. One that fails does not keep the others from being taken. */
export class Undo {
  readonly #steps: (() => void | Promise<void>)[] = [];

  push(step: () => void | Promise<void>): void {
    this.#steps.push(step);
  }

  /** Takes all steps, once; then throws what failed, if anything did. */
  async run(): Promise<void> {
    const failed: unknown[] = [];
    for (const step of this.#steps.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        failed.push(error);
      }
    }
    if (failed.length === 1) throw failed[0];
    if (failed.length > 1) throw new AggregateError(failed, failed.map(String).join('; '));
  }
}
