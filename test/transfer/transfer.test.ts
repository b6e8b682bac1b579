import { TRANSFER_NAMES } from '../../src/transfer/transfer.js';
import { transferSuite } from './transfer.suite.js';

for (const sender of TRANSFER_NAMES) for (const receiver of TRANSFER_NAMES) transferSuite(sender, receiver);
