import { uplinkSuite } from './uplink.suite.js';

uplinkSuite('tcx', 2);
