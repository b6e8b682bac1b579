import { STRATEGIES, transferSuite } from './transfer.suite.js';

for (const sender of STRATEGIES) for (const receiver of STRATEGIES) transferSuite(sender, receiver);
