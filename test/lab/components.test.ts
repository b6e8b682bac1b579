import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Component, componentOf, inBridgeHop, tally } from '../../src/lab/traffic/components.js';
import { parseStacks } from '../../src/lab/traffic/stacks.js';
import { RECORDED } from './recorded_stacks.js';

test('recorded samples: each is one stack, and of the component that it was judged to be', () => {
  assert.ok(RECORDED.length > 30);
  for (const { of, component, hop, text } of RECORDED) {
    const stacks = parseStacks(text);
    assert.equal(stacks.length, 1, text);
    assert.equal(stacks[0].frames.length, text.trimEnd().split('\n').length - 1, text);
    assert.equal(componentOf(stacks[0].frames), component, text);
    if (of === 'machine') assert.equal(inBridgeHop(stacks[0].frames), hop, text);
  }
});

test('a recording as a whole: samples are kept apart and add up', () => {
  const daemon = RECORDED.filter((r) => r.of === 'daemon');
  const stacks = parseStacks(daemon.map((r) => r.text).join('\n'));
  assert.equal(stacks.length, daemon.length);
  const counts = tally(stacks);
  assert.equal(
    [...counts.values()].reduce((sum, n) => sum + n),
    daemon.length,
  );
  for (const { component } of daemon) assert.ok((counts.get(component) ?? 0) > 0, component);
});

test('heads: a comm with spaces, a process without its thread, no frames at all', () => {
  const text =
    'V8 Worker 1  2113/2120 \n\t    7f00 read+0x13 (/lib/x86_64-linux-gnu/libc.so.6)\n\nnode 5 \n\nx';
  const [a, b, ...rest] = parseStacks(text);
  assert.deepEqual([a.comm, a.pid, a.tid], ['V8 Worker 1', 2113, 2120]);
  assert.deepEqual(a.frames, [{ symbol: 'read', object: '/lib/x86_64-linux-gnu/libc.so.6' }]);
  assert.deepEqual([b.pid, b.tid, b.frames.length], [5, 5, 0]);
  assert.equal(rest.length, 0);
  assert.equal(componentOf(b.frames), 'other');
  assert.deepEqual(parseStacks('a text that is none\nof perf'), []);
});

test('stages by the names of the hot loops', () => {
  const map = '/tmp/perf-1.map';
  const rows: [Component, string][] = [
    ['direct lane', 'JS:assembly/lane/laneTo-80-turbofan'],
    ['pull', 'JS:assembly/netback_tx/readRequest-42-turbofan'],
    ['pull', 'JS:assembly/tap/tapFinishRead-60-turbofan'],
    ['classify', 'JS:assembly/forward/dispatch-75-turbofan'],
    ['push', 'JS:assembly/netback_rx/layOut-50-turbofan'],
    ['push', 'JS:assembly/tap/tapPrepareWrite-61-liftoff'],
    ['release', 'JS:assembly/netback_done/netbackRelease-55-turbofan'],
    ['release', 'JS:assembly/tap/tapRelease-62-turbofan'],
    ['publish', 'JS:assembly/netback_rx/netbackPublishRx-47-turbofan'],
    ['publish', 'JS:assembly/ring/pushResponses-12-turbofan'],
    ['grants, mapping table', 'JS:assembly/move/grantPrepare-30-turbofan'],
    ['FFI', 'JS:wasm-to-js:iiii:i-0-turbofan'],
    ['FFI', 'JS:*copyVectors file:///opt/netferry/dist/src/sys/vector_io.js:20:28'],
    ['engine and ports, JS', 'JS:~push file:///opt/netferry/dist/src/tap/tap_port.js:100:7'],
    ['Node and V8', 'JS:*emit node:events:465:44'],
  ];
  for (const [component, symbol] of rows)
    assert.equal(componentOf([{ symbol, object: map }]), component, symbol);
});

test('the kernel’s own modules are the kernel, the vdso is its caller’s', () => {
  assert.equal(componentOf([{ symbol: 'br_handle_frame', object: '[bridge]' }]), 'kernel: bridge');
  assert.equal(
    componentOf([{ symbol: 'nf_hook_slow', object: '/lib/modules/6.1/nf.ko.xz' }]),
    'kernel: netfilter',
  );
  const clock = { symbol: '__vdso_clock_gettime', object: '[vdso]' };
  assert.equal(componentOf([clock, { symbol: 'uv_hrtime', object: '/usr/bin/node' }]), 'Node and V8');
  assert.equal(componentOf([{ symbol: '[unknown]', object: '[unknown]' }]), 'other');
});

test('the module carries the names that perf needs', () => {
  const module = new WebAssembly.Module(readFileSync(new URL('../../netferry.wasm', import.meta.url)));
  const [names] = WebAssembly.Module.customSections(module, 'name');
  const text = Buffer.from(names).toString('latin1');
  for (const name of ['assembly/netback_rx/layOut', 'assembly/forward/classify', 'assembly/memory/copyBytes'])
    assert.ok(text.includes(name), name);
});
