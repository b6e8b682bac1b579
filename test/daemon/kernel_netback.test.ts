/** Which vifs Linux's netback has, by a copy of what sysfs shows (Linux 6.1 in dom0). */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { KernelNetback } from '../../src/daemon/kernel_netback.js';

let bus: string;
let kernel: KernelNetback;

beforeEach(() => {
  bus = mkdtempSync(join(tmpdir(), 'netferry-bus-'));
  mkdirSync(join(bus, 'devices'));
  mkdirSync(join(bus, 'drivers'));
  kernel = new KernelNetback(bus);
});

afterEach(() => rmSync(bus, { recursive: true }));

function load(module: string | undefined): void {
  mkdirSync(join(bus, 'drivers/vif'));
  if (module !== undefined) symlinkSync(`../../../../module/${module}`, join(bus, 'drivers/vif/module'));
}

function device(name: string, driver?: string): void {
  mkdirSync(join(bus, 'devices', name), { recursive: true });
  if (driver) symlinkSync(`../../../bus/xen-backend/drivers/${driver}`, join(bus, 'devices', name, 'driver'));
}

describe('kernel netback', () => {
  test('not loaded: nobody has a vif, though the kernel lists it', () => {
    device('vif-7-0');
    assert.equal(kernel.module, undefined);
    assert.equal(kernel.holderOf(7, 0, false), undefined);
    assert.equal(kernel.holderOf(8, 0, false), undefined);
  });

  test('no Xen at all', () => {
    assert.equal(new KernelNetback(join(bus, 'absent')).holderOf(7, 0, false), undefined);
  });

  test('loaded: it has what it is bound to, and says which module and what to do', () => {
    load('xen_netback');
    device('vif-7-0', 'vif');
    assert.equal(kernel.module, 'xen_netback');
    assert.match(
      kernel.holderOf(7, 0, false) ?? '',
      /^xen_netback has it: echo vif-7-0 >.*\/unbind, then modprobe -r xen_netback, and blacklist it/,
    );
    assert.match(kernel.holderOf(7, 0, true) ?? '', /has it/, 'even one that we serve');
  });

  test('devices that are gone are forgotten, those that are there are not', async () => {
    load('xen_netback');
    kernel = new KernelNetback(bus, 20);
    for (let domid = 1; domid <= 50; domid++) kernel.holderOf(domid, 0, false);
    device('vif-60-0');
    kernel.holderOf(60, 0, false);
    await sleep(40);
    kernel.holderOf(61, 0, false);
    assert.equal(kernel.remembered, 2);
  });

  test('built into the kernel', () => {
    load(undefined);
    device('vif-7-0', 'vif');
    assert.match(
      kernel.holderOf(7, 0, false) ?? '',
      /^kernel netback has it: echo vif-7-0 >.*built into this kernel/,
    );
  });

  test('a new vif is about to be taken; one that stays unbound was left by hand', async () => {
    load('xen_netback');
    assert.match(kernel.holderOf(7, 0, false) ?? '', /has it/, 'before the kernel has seen it');
    device('vif-7-0');
    assert.match(kernel.holderOf(7, 0, false) ?? '', /has it/);
    assert.equal(kernel.holderOf(7, 0, true), undefined, 'one that we serve stays ours');
    await sleep(1000);
    assert.equal(kernel.holderOf(7, 0, false), undefined);
    assert.equal(kernel.holderOf(7, 0, false), undefined, 'and it stays free');
    assert.match(kernel.holderOf(7, 1, false) ?? '', /has it/, 'each on its own');
    rmSync(join(bus, 'devices/vif-7-0'), { recursive: true });
    device('other');
    device('vif-7-0');
    assert.match(kernel.holderOf(7, 0, false) ?? '', /has it/, 'another device of the same number');
  });

  test('unloaded: everything is free at once', () => {
    load('xen_netback');
    assert.ok(kernel.holderOf(7, 0, false));
    rmSync(join(bus, 'drivers/vif'), { recursive: true });
    assert.equal(kernel.holderOf(7, 0, false), undefined);
  });
});
