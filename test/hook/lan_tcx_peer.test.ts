import { lanSuite } from './lan.suite.js';

lanSuite("ports, host and wire by TCX, frames skip the guest's veth", 'tcx', { peer: true });
