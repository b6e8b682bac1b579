import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOST, onlyNetferry } from '../dom0/network.js';
import { until } from '../dom0/place.js';
import type { Scenario } from '../scenario.js';

/** Handle of the vif whose nodes are written by hand. */
const HANDLE = 5;

export const scenario: Scenario = {
  about:
    'nodes written by hand, good and bad, by toolstack and guest: one vif waits or closes, with an error node',
  seconds: 400,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const network = await lab.network();
    const daemon = network.daemon ?? assert.fail();
    const other = await lab.guestOn(network, 1);
    const pings = await other.start(`ping -i 0.5 ${HOST.v4}`);
    // Without netfront nobody but we writes the front end's nodes.
    const guest = await lab.guest({ name: 'g2', netfront: 'none', vifs: [] });
    const [backend, frontend] = [guest.backend(HANDLE), guest.frontend(HANDLE)];
    const errorNode = backend.replace('/backend/', '/error/backend/');

    async function write(directory: string, nodes: Record<string, string>): Promise<void> {
      const words = Object.entries(nodes).map(([key, value]) => `${directory}/${key} '${value}'`);
      await dom0.ok(`xenstore-write -- ${words.join(' ')}`);
    }
    const read = async (path: string) => {
      const { code, stdout } = await dom0.run(`xenstore-read ${path}`);
      return code === 0 ? stdout.trim() : undefined;
    };
    const reaches = (state: string) =>
      until(`back end in state ${state}`, async () => (await read(`${backend}/state`)) === state, 20);
    const failsWith = async (text: string) => {
      const error = await until(`error about ${text}`, () => read(`${errorNode}/error`), 20);
      assert.ok(error.includes(text), error);
      assert.ok(daemon.log().includes(`vif g2/${HANDLE}: ${text}`), daemon.log().slice(-500));
    };
    /** As libxl does. */
    const make = async (nodes: Record<string, string> = {}) => {
      await write(frontend, { backend, 'backend-id': '0', handle: String(HANDLE), state: '1' });
      await write(backend, {
        frontend,
        'frontend-id': String(guest.domid),
        online: '1',
        handle: String(HANDLE),
        mac: '00:16:3e:00:02:05',
        ...nodes,
        state: '1',
      });
    };
    const removeNodes = () =>
      dom0.run(`xenstore-rm ${backend}; xenstore-rm ${frontend}; xenstore-rm ${errorNode}`);
    lab.defer(removeNodes);
    const remove = async () => {
      await removeNodes();
      const row = async () => (await daemon.vifs()).some(({ name }) => name === `g2/${HANDLE}`);
      await until('the vif is forgotten', async () => !(await row()), 20);
    };

    for (const [key, bad, good] of [
      ['mac', '00:16:3e:00:00', '00:16:3e:00:02:05'],
      ['rate', 'fast', '1000000,50000'],
      ['mtu', '70000', '1500'],
      ['ip', '10.0.0.300', '10.0.0.12'],
    ] as const) {
      lab.step(`${key} = ${bad}`);
      await make({ [key]: bad });
      await failsWith(`${key} = "${bad}"`);
      await sleep(300);
      assert.equal(await read(`${backend}/state`), '1', 'it waits');
      await write(backend, { [key]: good });
      await reaches('2');
      assert.equal(await read(`${errorNode}/error`), undefined);
      await remove();
    }

    const rings = {
      'tx-ring-ref': '8',
      'rx-ring-ref': '9',
      'event-channel': '1',
      'request-rx-copy': '1',
    };
    for (const [nodes, text] of [
      [{ 'multi-queue-num-queues': '0' }, 'multi-queue-num-queues = "0"'],
      [{ 'multi-queue-num-queues': '-1' }, 'multi-queue-num-queues = "-1"'],
      [{ 'multi-queue-num-queues': '1000000' }, 'multi-queue-num-queues = "1000000"'],
      [{ 'multi-queue-num-queues': 'two' }, 'multi-queue-num-queues = "two"'],
      [{ 'tx-ring-ref': '99999999999' }, 'tx-ring-ref = "99999999999"'],
      [{ 'tx-ring-ref': '4294967295' }, 'grant 4294967295'],
      [{ 'rx-ring-ref': '100000' }, 'grant '],
      [{ 'request-rx-copy': '0' }, 'request-rx-copy = "0"'],
    ] as const) {
      lab.step(JSON.stringify(nodes));
      await make();
      await reaches('2');
      await write(frontend, { ...rings, ...nodes, state: '4' });
      await reaches('5');
      await failsWith(text);
      await write(frontend, { state: '6' });
      await reaches('6');
      await remove();
    }
    await pings.kill();
    assert.match(await other.ok(`ping -c 3 -i 0.3 ${HOST.v4}`), / 3 received, 0% packet loss/);
  },
};
