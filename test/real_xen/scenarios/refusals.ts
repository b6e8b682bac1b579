import assert from 'node:assert/strict';
import { onlyNetferry } from '../dom0/network.js';
import type { Scenario } from '../scenario.js';

const NETFERRY = 'node /netferry/bin/netferry.js';

export const scenario: Scenario = {
  about:
    'what is missing on a Xen host is said in one line, with what to do about it; doctor has a row for each',
  seconds: 200,
  async run(lab) {
    onlyNetferry(lab.backend);
    const { dom0 } = lab;
    const refused = async (command: string, message: RegExp, hint: RegExp) => {
      const { code, stdout, stderr } = await dom0.run(`${NETFERRY} ${command}`, 60);
      const [first, second] = `${stdout}${stderr}`.split('\n');
      assert.equal(code, 1, `${command}: ${stdout}${stderr}`);
      assert.match(first, message);
      assert.match(second, hint);
    };

    lab.step('no xenstored');
    lab.defer(() => dom0.run('mv /run/xenstored/away /run/xenstored/socket'));
    await dom0.ok('mv /run/xenstored/socket /run/xenstored/away; touch /run/xenstored/socket');
    await refused(
      'up --no-host',
      /^netferry: xenstored does not answer at \/run\/xenstored\/socket/,
      /start xenstored/,
    );
    assert.match(await dom0.ok(`${NETFERRY} doctor`, 60), /^xenstore +missing +xenstored does not answer/m);
    await dom0.ok('mv /run/xenstored/away /run/xenstored/socket');

    lab.step('no gntdev');
    // xenconsoled has the module; without the node it is as well gone.
    await dom0.ok('mv /dev/xen/gntdev /dev/xen/away');
    lab.defer(() => dom0.run('mv /dev/xen/away /dev/xen/gntdev'));
    await refused('up --platform native', /\/dev\/xen\/gntdev is missing/, /modprobe xen-gntdev/);
    const embedded = await lab.netferry({ args: ['--no-host'] });
    assert.equal((await embedded.status()).platform, 'embedded');
    assert.match(
      embedded.log(),
      /Xen’s own guests are not served: \/dev\/xen\/gntdev is missing \(modprobe xen-gntdev\)/,
    );
    assert.equal(await embedded.stop(), 0);
    assert.match(
      await dom0.ok(`${NETFERRY} doctor`, 60),
      /^Xen devices +missing +\/dev\/xen\/gntdev is missing/m,
    );
    await dom0.ok('mv /dev/xen/away /dev/xen/gntdev');

    lab.step('all there');
    // Where the module can be found by its alias, it would come with the first vif.
    await dom0.ok('mkdir -p /etc/modprobe.d && echo blacklist xen_netback >/etc/modprobe.d/netferry.conf');
    lab.defer(() => dom0.run('rm /etc/modprobe.d/netferry.conf'));
    const doctor = await dom0.ok(`${NETFERRY} doctor`, 60);
    for (const row of [
      /^Xen +ok +dom0$/m,
      /^Xen devices +ok +gntdev, evtchn$/m,
      /^xenstore +ok +\/run\/xenstored\/socket: this is domain 0$/m,
      /^kernel netback +ok +not loaded$/m,
    ])
      assert.match(doctor, row);
    const daemon = await lab.netferry({ args: ['--no-host'] });
    await refused(
      '--dir /tmp/other up --no-host',
      new RegExp(`a daemon serves the guests of this Xen host already \\(pid ${daemon.pid}\\)`),
      /end that one/,
    );
    await refused('guest run web', /its guests are made by the toolstack/, /xl create web\.cfg/);
    assert.equal((await daemon.json<{ platform: string }>(dom0, 'status')).platform, 'native');
    await dom0.ok('modprobe xen-netback');
    assert.match(
      await dom0.ok(`${NETFERRY} doctor`, 60),
      /^kernel netback +missing +xen_netback is there: modprobe -r/m,
    );
    await dom0.ok('modprobe -r xen-netback');
    assert.match(await dom0.ok(`${NETFERRY} down`, 60), /^the daemon \(pid \d+\) has ended/m);
  },
};
