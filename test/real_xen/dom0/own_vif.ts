/**
 * A vif of dom0's own, by hand-written nodes (as libxl_nic.c writes them for a guest): our netfront in a namespace of
 * dom0 is its front end, whatever dom0 has for a back end is the other.
 */
import { macOf } from './guest.js';
import type { Lab } from './lab.js';
import type { Network } from './network.js';
import { type Dom0, until } from './place.js';

const FRONT = '/local/domain/0/device/vif';
const BACK = '/local/domain/0/backend/vif/0';

export const ownMac = (number: number) => macOf(90 + number);

/** Writes the nodes of vif `number`; they go when the scenario ends. */
export async function makeOwnVif(lab: Lab, network: Network, number = 0): Promise<void> {
  const { dom0 } = lab;
  const [front, back] = [`${FRONT}/${number}`, `${BACK}/${number}`];
  const mac = ownMac(number);
  const sides: [string, Record<string, string | number>][] = [
    [front, { backend: back, 'backend-id': 0, mac, handle: number, mtu: 1500, trusted: 1, state: 1 }],
    // A back end takes a vif as soon as there is a state.
    [
      back,
      {
        frontend: front,
        'frontend-id': 0,
        online: 1,
        type: 'vif',
        script: '/bin/true',
        'hotplug-status': '',
        mac,
        handle: number,
        state: 1,
      },
    ],
  ];
  for (const [side, nodes] of sides) {
    for (const [key, value] of Object.entries(nodes))
      await dom0.ok(`xenstore-write ${side}/${key} '${value}'`);
  }
  lab.defer(() => dom0.run(`xenstore-rm ${front}; xenstore-rm ${back}`));
  if (network.backend !== 'kernel') return;
  await until('vif0 of the kernel’s', async () => (await dom0.run(`ip link show vif0.${number}`)).code === 0);
  await dom0.ok(`ip link set vif0.${number} master xenbr0 up`);
  await dom0.ok(`xenstore-write ${back}/hotplug-status connected`);
}

export interface OwnVif {
  /** Pages that the back end keeps mapped for it. */
  readonly announced: number;
  /** SIGTERM; its exit code. */
  leave(): Promise<number>;
}

/** `netferry guest join` in a namespace; resolves when its interface is up. */
export async function joinOwnVif(lab: Lab, space: Dom0, address: string, number = 0): Promise<OwnVif> {
  lab.step(`our netfront joins vif ${number}`);
  const out = `/tmp/join.${number}`;
  await lab.dom0.ok(`rm -f ${out}`); // what the last one of that number said
  const task = await space.start(
    `echo $$ >${out}.pid; exec node /netferry/bin/netferry.js --json guest join --vif ${number} --ip ${address}/24 >${out} 2>&1`,
  );
  lab.defer(() => task.kill());
  const { announced } = await until('guest join', async () => {
    const said = (await lab.dom0.run(`cat ${out}`)).stdout;
    if (/^netferry: /m.test(said)) throw new Error(said);
    return said.endsWith('}\n') && (JSON.parse(said) as { announced: number });
  });
  return {
    announced,
    async leave() {
      await lab.dom0.ok(`kill $(cat ${out}.pid)`);
      return (await task.wait()).code;
    },
  };
}
