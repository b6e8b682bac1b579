/** Loaded into a daemon by NODE_OPTIONS: its second datapath thread dies of a fault as soon as the file NETFERRY_TEST_FAULT is there. */
import { existsSync } from 'node:fs';
import { isMainThread, threadId } from 'node:worker_threads';

const { NETFERRY_TEST_FAULT: fault = '' } = process.env;
if (!isMainThread && threadId === 2) {
  const { now } = performance;
  performance.now = () => {
    if (existsSync(fault)) throw new Error('a fault for a test');
    return now.call(performance);
  };
}
