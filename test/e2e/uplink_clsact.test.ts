import { uplinkSuite } from './uplink.suite.js';

uplinkSuite('clsact');
