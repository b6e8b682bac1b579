import { lanSuite } from './lan.suite.js';

lanSuite("ports, host and wire by TCX, frames pass the guest's veth", 'tcx', { peer: false });
