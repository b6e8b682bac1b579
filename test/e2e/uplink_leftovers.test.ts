/**
 * Features of a NIC that a killed daemon had switched off: the next daemon, of whatever directory and purpose, and
 * doctor find the record. No virtual interface has such features, so the record is written by hand.
 */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DIRECTORY } from '../../src/hook/feature_records.js';
import { ENTRY, Ferry } from './support/ferry.js';
import { lacking } from './support/place.js';
import { NEEDS, Site } from './support/uplink.js';

describe('a killed daemon’s record', { skip: lacking(...NEEDS) }, () => {
  let site: Site;
  let lines: string;
  const path = join(DIRECTORY, `test-${process.pid}`);
  before(async () => {
    site = await Site.make();
    const source = (name: string) => JSON.stringify(new URL(`../../src/${name}.js`, import.meta.url));
    const script = `
      import { entryOf, lineOf } from ${source('hook/feature_entry')};
      import { linkDetails } from ${source('sys/link_details')};
      import { makeDirectories } from ${source('sys/directories')};
      import { netnsName } from ${source('sys/netns')};
      makeDirectories('${DIRECTORY}', 0o700);
      console.log('+' + lineOf(entryOf(linkDetails('up0'), netnsName(), 'rx-lro')));`;
    lines = await site.host.place.run([process.execPath, '--input-type=module', '-e', script]);
  });
  after(async () => {
    rmSync(path, { force: true });
    await site?.close();
  });
  const leave = (text = lines) => writeFileSync(path, text, { mode: 0o600 });
  const isThere = () => {
    try {
      rmSync(path);
      return true;
    } catch {
      return false;
    }
  };

  test('doctor puts it right', async () => {
    const doctor = () => site.host.place.run([process.execPath, ENTRY, 'doctor']);
    assert.match(await doctor(), /left behind\s+ok\s+nothing/);
    leave();
    assert.match(await doctor(), /taken back now: up0 rx-lro is on again/);
    assert.equal(isThere(), false);
  });

  test('a daemon for something else puts it right', async () => {
    leave();
    const ferry = Ferry.in(site.host.place);
    await ferry.run('--no-host');
    const { stderr } = await ferry.daemon.stop();
    assert.match(stderr, /up0 rx-lro is on again: a killed daemon had switched it off/);
    assert.equal(isThere(), false);
    await ferry.stop();
  });

  test('a daemon on the same uplink has it off until its end', async () => {
    leave();
    const ferry = Ferry.in(site.host.place);
    await ferry.run('--uplink', 'up0');
    assert.equal(isThere(), false, 'the record is its own now');
    const { stderr } = await ferry.daemon.stop();
    assert.match(stderr, /uplink up0: rx-lro is off meanwhile/);
    assert.doesNotMatch(stderr, /on again|warning/);
    await ferry.stop();
  });

  test('one that makes no sense is said, and nothing more comes of it', async () => {
    leave('+{"ifindex":1}\n');
    const ferry = Ferry.in(site.host.place);
    await ferry.run('--uplink', 'up0');
    const { stderr } = await ferry.daemon.stop();
    assert.match(stderr, /warning: records of features that are off: \S+: line 1 is no record/);
    assert.equal(isThere(), true);
    await ferry.stop();
  });
});
