/** What a scenario is: a file in scenarios/ that exports `scenario`. It runs in dom0. */
import type { Lab } from './dom0/lab.js';
import type { Boot } from './protocol.js';

export interface Scenario {
  /** One line: what it proves. */
  readonly about: string;
  /** Default: the boot that most share. */
  readonly boot?: Boot;
  /** Emulated seconds it may take, guests' starts included. */
  readonly seconds: number;
  /** False: only when it is named. */
  readonly byDefault?: boolean;
  /** Throws, by node:assert or otherwise, when what it proves does not hold; Skip when it cannot be tried. */
  run(lab: Lab): Promise<void>;
}

/** Thrown by a scenario that cannot be tried here. */
export class Skip extends Error {}

const NAME = /^[a-z0-9-]+$/;

/** The scenario of that name. Throws when there is none. */
export async function loadScenario(name: string): Promise<Scenario> {
  if (!NAME.test(name)) throw new Error(`${name} is no scenario's name`);
  const file = new URL(`./scenarios/${name.replaceAll('-', '_')}.js`, import.meta.url);
  const { scenario } = (await import(file.href)) as { scenario?: Scenario };
  if (scenario === undefined) throw new Error(`${file.pathname} exports no scenario`);
  return scenario;
}
