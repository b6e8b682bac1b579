/** One line of `netferry doctor`. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What is there, or why it is not. */
  readonly found: string;
  /** What cannot be done without it. */
  readonly cost: string;
  /** Whether frames can be carried at all without it. */
  readonly required: boolean;
}
