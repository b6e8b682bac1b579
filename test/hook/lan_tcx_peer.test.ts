import { lanSuite } from './lan.suite.js';

lanSuite("ports, host and wire by TCX, frames skip the guest's and the uplink's veths", 'tcx', {}, {});
